int a(void) { return MESSAGE_SEND(fd, self, JAIL_GO, 0, &body); }
