/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of tests/root/fault.bash: a server that starts at once. Binds 127.0.0.1:PORT and
 * answers whoever connects with what /proc says about its confinement, so that the test sees what
 * the process itself is under, not what was asked for. For each it binds SECOND as well, and lets
 * go of it: that is work for the broker while it serves, and may fail.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void server_answer(int to)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));

	(void)!write(to, "HTTP/1.0 200 OK\r\n\r\n", 19);
	if (n > 0)
		(void)!write(to, text, (size_t)n);
	if (fd >= 0)
		(void)close(fd);
	(void)shutdown(to, SHUT_WR);
}

static void server_bind(struct sockaddr_in in, const char *port)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_port = htons((unsigned short)atoi(port));
	if (fd < 0)
		return;
	(void)bind(fd, (struct sockaddr *)&in, sizeof(in));
	(void)close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 3 || listener < 0)
		return 2;
	in.sin_port = htons((unsigned short)atoi(argv[1]));
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(listener, 16) < 0)
		return 3;
	for (;;) {
		const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		server_bind(in, argv[2]);
		server_answer(fd);
		(void)close(fd);
	}
}
