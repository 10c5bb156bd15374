int a(void)
{
	cleanup_fd int fd;

	return 0;
}
