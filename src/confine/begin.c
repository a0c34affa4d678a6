/* What a program of ours that another one started does before it looks at anything. */
#include "confine/confine.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Whoever starts us gives us standard error at most; what libraries take for 0 to 2 must not be one of our sockets. */
static void fill_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int confine_begin(const char *name, int argc, char **argv, struct confine_options *ret)
{
	uint64_t parent = 0, namespaces = 0;
	if (argc != 3 || !str_to_u64(str_from(argv[1]), INT32_MAX, &parent) ||
	    !str_to_u64(str_from(argv[2]), UINT64_MAX, &namespaces)) {
		fprintf(stderr, "%s is started by other programs of aileron, not by hand\n", name);
		return -1;
	}
	fill_standard_descriptors();
	signal(SIGXFSZ, SIG_IGN);          /* a file that may not grow is an error of who writes it */
	signal(SIGPIPE, SIG_IGN);          /* a peer that closes is an error of what was asked by it */
	(void)setpgid(0, 0);               /* what is typed at the terminal is the starter's business */
	prctl(PR_SET_NAME, name, 0, 0, 0); /* started by a descriptor it has no name of its own */
	*ret = (struct confine_options){.parent_pid = (int)parent, .namespaces = namespaces};
	return 0;
}
