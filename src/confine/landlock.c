#include "confine/steps.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/*
 * The kernel's interface (linux/landlock.h), spelt out here because the header of the build machine may be older than
 * the kernel that runs. The numbers are fixed for ever. ABI 7 and later add nothing that confines more.
 */
#define FS_EXECUTE     (UINT64_C(1) << 0)
#define FS_WRITE_FILE  (UINT64_C(1) << 1)
#define FS_READ_FILE   (UINT64_C(1) << 2)
#define FS_READ_DIR    (UINT64_C(1) << 3)
#define FS_REMOVE_DIR  (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_CHAR   (UINT64_C(1) << 6)
#define FS_MAKE_DIR    (UINT64_C(1) << 7)
#define FS_MAKE_REG    (UINT64_C(1) << 8)
#define FS_MAKE_SOCK   (UINT64_C(1) << 9)
#define FS_MAKE_FIFO   (UINT64_C(1) << 10)
#define FS_MAKE_BLOCK  (UINT64_C(1) << 11)
#define FS_MAKE_SYM    (UINT64_C(1) << 12)
#define FS_REFER       (UINT64_C(1) << 13) /* ABI 2 */
#define FS_TRUNCATE    (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV   (UINT64_C(1) << 15) /* ABI 5 */
#define FS_ABI_1       ((FS_MAKE_SYM << 1) - 1)

#define NET_BIND_TCP    (UINT64_C(1) << 0) /* ABI 4 */
#define NET_CONNECT_TCP (UINT64_C(1) << 1)

#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0) /* ABI 6 */
#define SCOPE_SIGNAL        (UINT64_C(1) << 1)

#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH      1

struct ruleset_attr {
	uint64_t fs, net, scopes;
};

struct path_beneath_attr {
	uint64_t access;
	int32_t parent;
} __attribute__((packed));

static int running_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	return abi > 0 ? (int)abi : 0;
}

static struct ruleset_attr handled(int abi, bool connects)
{
	struct ruleset_attr attr = {.fs = FS_ABI_1};
	attr.fs |= abi >= 2 ? FS_REFER : 0;
	attr.fs |= abi >= 3 ? FS_TRUNCATE : 0;
	attr.fs |= abi >= 5 ? FS_IOCTL_DEV : 0;
	attr.net = abi >= 4 ? NET_BIND_TCP | (connects ? 0 : NET_CONNECT_TCP) : 0;
	attr.scopes = abi >= 6 ? SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL : 0;
	return attr;
}

static int allow_path(int ruleset, uint64_t handled_fs, const struct confine_path *path, struct err *err)
{
	AUTO_FD fd = open(path->path, O_PATH | O_CLOEXEC);
	if (fd < 0) /* not there, or not for us: either way there is nothing to allow */
		return 0;
	struct stat info;
	if (fstat(fd, &info) != 0)
		return fail_errno(err, "cannot look at '%s'", path->path);
	uint64_t access = FS_READ_FILE;
	if (path->write)
		access |= FS_WRITE_FILE | FS_TRUNCATE;
	if (S_ISDIR(info.st_mode)) {
		access |= FS_READ_DIR;
		if (path->write)
			access |= FS_MAKE_REG | FS_REMOVE_FILE;
	}
	struct path_beneath_attr rule = {.access = access & handled_fs, .parent = fd};
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
		return fail_errno(err, "cannot allow '%s'", path->path);
	return 0;
}

/* Ordinary files beneath it: no folders, links, sockets or devices are made, nothing is executed. */
static int allow_own_folder(int ruleset, uint64_t handled_fs, int folder, struct err *err)
{
	const uint64_t access = FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_MAKE_REG | FS_REMOVE_FILE;
	struct path_beneath_attr rule = {.access = access & handled_fs, .parent = folder};
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
		return fail_errno(err, "cannot allow a process its own folder");
	return 0;
}

int landlock_confine(const struct confine_policy *policy, int own_folder, int *ret_abi, struct err *err)
{
	int abi = running_abi();
	if (abi == 0) {
		*ret_abi = 0;
		return 0;
	}
	/* A kernel that knows fewer fields accepts the longer struct as long as those are zero. */
	struct ruleset_attr attr = handled(abi, policy->connects);
	AUTO_FD ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (ruleset < 0)
		return fail_errno(err, "cannot make a Landlock ruleset");
	for (const struct confine_path *path = policy->paths; path != NULL && path->path != NULL; path++) {
		if (allow_path(ruleset, attr.fs, path, err) != 0)
			return -1;
	}
	if (own_folder > 0 && allow_own_folder(ruleset, attr.fs, own_folder, err) != 0)
		return -1;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return fail_errno(err, "cannot enter a Landlock ruleset");
	*ret_abi = abi;
	return 0;
}
