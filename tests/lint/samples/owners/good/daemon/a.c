int a(void)
{
	cleanup_fd int fd = -1;
	cleanup_ptr char *p = NULL;

	return 0;
}
