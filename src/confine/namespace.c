#include "confine/steps.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* The map of the first user namespace covers every id; os/child.h maps one. */
static bool in_user_namespace(void)
{
	AUTO_FD fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	char text[128];
	ssize_t n = read(fd, text, sizeof text);
	if (n <= 0)
		return false;
	struct str line, fields = str_trim(str_of(text, (size_t)n));
	struct str more = str_cut(fields, '\n', &line);
	return more.n == 0 && str_ends(str_trim(line), S(" 1"));
}

static bool in_pid_namespace(void)
{
	return getpid() == 1 && getppid() == 0;
}

/* The loopback of a new network namespace is down, and nobody of ours brings it up. */
static bool in_network_namespace(void)
{
	AUTO_FD fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	struct ifreq request = {.ifr_name = "lo"};
	return ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) == 0;
}

uint64_t namespace_look(uint64_t told)
{
	static const struct {
		uint64_t flag;
		bool (*is_in)(void);
	} looks[] = {
		{CLONE_NEWUSER, in_user_namespace},
		{CLONE_NEWPID, in_pid_namespace},
		{CLONE_NEWNET, in_network_namespace},
	};
	uint64_t found = told;
	for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
		if ((told & looks[i].flag) != 0 && !looks[i].is_in())
			found &= ~looks[i].flag;
	}
	return found;
}

/*
 * Any folder serves as the place: the new root is mounted over it, becomes the root, and the old one, with everything
 * mounted below it, is detached. pivot_root(".", ".") stacks the old root on the new one, so no folder for it is needed.
 */
int namespace_empty_root(void)
{
	static const char *const places[] = {"/tmp", "/proc", "/dev"};
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return -1;
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (mount("none", places[i], "tmpfs", flags, "mode=555,size=4k,nr_inodes=2") != 0)
			continue;
		if (chdir(places[i]) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
			return -1;
		return umount2(".", MNT_DETACH) != 0 || chdir("/") != 0 ? -1 : 0;
	}
	return -1;
}
