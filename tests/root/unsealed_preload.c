/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded with LD_PRELOAD into custody-measurer by tests/root/85-measured.sh: a measurer that has
 * been taken over hands in its table without sealing it, to change or shorten it while custodyd
 * reads. Never part of the product.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNSEALED_ALL (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

__attribute__((visibility("default"))) int fcntl(int fd, int command, ...)
{
	va_list ap;
	long argument;

	va_start(ap, command);
	argument = va_arg(ap, long);
	va_end(ap);
	if (command == F_ADD_SEALS)
		return 0;
	if (command == F_GET_SEALS)
		return UNSEALED_ALL;
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

__attribute__((visibility("default"))) int fcntl64(int fd, int command, ...)
	__attribute__((alias("fcntl")));
