/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client as small as they come: HOST PORT [addrconfig]; sends "ping" and prints the answer.
 * tests/root/67-egress.sh builds it with musl, statically, where there is a musl-gcc.
 */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = argc > 3 ? AI_ADDRCONFIG : 0 };
	struct addrinfo *found;
	char text[16] = "";
	int fd;

	if (argc < 3 || getaddrinfo(argv[1], argv[2], &hints, &found) != 0) {
		puts("not found");
		return 1;
	}
	fd = socket(found->ai_family, found->ai_socktype, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
		perror("connect");
		return 1;
	}
	if (write(fd, "ping\n", 5) != 5 || read(fd, text, sizeof(text) - 1) < 0)
		return 1;
	fputs(text, stdout);
	return 0;
}
