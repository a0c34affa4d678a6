#include "confine/steps.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* ---- entering */

static int put_file(const char *path, const char *text)
{
	AUTO_FD fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* setgroups must be denied before an ordinary user may map a group. */
static int put_maps(uid_t uid, gid_t gid)
{
	char uid_map[32], gid_map[32];
	snprintf(uid_map, sizeof uid_map, "%u %u 1", uid, uid);
	snprintf(gid_map, sizeof gid_map, "%u %u 1", gid, gid);
	if (put_file("/proc/self/setgroups", "deny") != 0 || put_file("/proc/self/uid_map", uid_map) != 0)
		return -1;
	return put_file("/proc/self/gid_map", gid_map);
}

uint64_t namespace_enter(uint64_t wanted)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (wanted == 0 || unshare((int)(wanted | CLONE_NEWUSER)) != 0)
		return 0;
	/* The maps are files of root's while the process is not dumpable, which new rights made it. */
	bool mapped = prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 && put_maps(uid, gid) == 0;
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return mapped ? wanted | CLONE_NEWUSER : 0;
}

/* ---- looking */

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
static const char *const places[] = {"/tmp", "/proc", "/dev"};

static int make_private(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static int enter_root(const char *place)
{
	if (chdir(place) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
		return -1;
	return umount2(".", MNT_DETACH) != 0 || chdir("/") != 0 ? -1 : 0;
}

int namespace_empty_root(void)
{
	if (make_private() != 0)
		return -1;
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (mount("none", places[i], "tmpfs", flags, "mode=555,size=4k,nr_inodes=2") == 0)
			return enter_root(places[i]);
	}
	return -1;
}

/* linux/mount.h (5.12), spelt out because it and sys/mount.h do not go together everywhere. */
struct tree_attr {
	uint64_t set, clear, propagation, user_namespace;
};
#define TREE_NOSUID      0x2
#define TREE_NODEV       0x4
#define TREE_CLONE       1
#define TREE_CLOEXEC     O_CLOEXEC
#define MOVE_FROM_EMPTY  0x4
#define SYS_TREE_OPEN    428 /* one number on every architecture, like those below */
#define SYS_TREE_MOVE    429
#define SYS_TREE_SETATTR 442

/*
 * The same folder by a path in this namespace: the descriptor comes from the parent's, whose mounts cannot be copied
 * here. Were the name to lead elsewhere by now, the numbers would tell.
 */
static int reopen(int folder)
{
	char link[32], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return -1;
	path[n] = '\0';
	AUTO_FD fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat wanted, got;
	if (fd < 0 || fstat(folder, &wanted) != 0 || fstat(fd, &got) != 0)
		return -1;
	return wanted.st_dev == got.st_dev && wanted.st_ino == got.st_ino ? TAKE_FD(fd) : -1;
}

/*
 * A copy of the folder's mount that begins at the folder: ".." stops there. Not noexec: control keeps compiled code in its
 * folder and hands it, by descriptor, to runners that map it for execution; that nobody here executes is seccomp's part.
 */
static int clone_tree(int folder)
{
	AUTO_FD here = reopen(folder);
	if (here < 0)
		return -1;
	int tree = (int)syscall(SYS_TREE_OPEN, here, "", TREE_CLONE | TREE_CLOEXEC | AT_EMPTY_PATH);
	struct tree_attr attr = {.set = TREE_NOSUID | TREE_NODEV};
	if (tree >= 0 && syscall(SYS_TREE_SETATTR, tree, "", AT_EMPTY_PATH, &attr, sizeof attr) != 0) {
		close(tree);
		return -1;
	}
	return tree;
}

static int move_tree(int tree, const char *place)
{
	return (int)syscall(SYS_TREE_MOVE, tree, "", AT_FDCWD, place, MOVE_FROM_EMPTY);
}

int namespace_folder_root(int folder)
{
	if (make_private() != 0)
		return -1;
	AUTO_FD tree = clone_tree(folder);
	if (tree < 0)
		return -1;
	size_t i = 0;
	while (i < ARRAY_LEN(places) && move_tree(tree, places[i]) != 0)
		i++;
	if (i == ARRAY_LEN(places) || enter_root(places[i]) != 0)
		return -1;
	/* The old descriptor knows a way up. */
	AUTO_FD root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 || dup3(root, folder, O_CLOEXEC) < 0 ? -1 : 0;
}
