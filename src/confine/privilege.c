#include "confine/steps.h"
#include "base/mem.h"
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

int privilege_give_up(struct err *err)
{
	/* No core dump, no ptrace by other processes of the same user. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return fail_errno(err, "cannot become undumpable");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fail_errno(err, "cannot give up new privileges");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return fail_errno(err, "cannot bind this process's life to its parent's");
	return 0;
}

int privilege_limit(const struct confine_rlimit *rlimits, struct err *err)
{
	for (const struct confine_rlimit *row = rlimits; row != NULL && row->resource != -1; row++) {
		struct rlimit now;
		if (getrlimit((__rlimit_resource_t)row->resource, &now) != 0)
			return fail_errno(err, "cannot read resource limit %d", row->resource);
		rlim_t value = MIN((rlim_t)row->value, now.rlim_max); /* one that is lower already stays */
		struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
		if (setrlimit((__rlimit_resource_t)row->resource, &limit) != 0)
			return fail_errno(err, "cannot set resource limit %d", row->resource);
	}
	return 0;
}

int privilege_drop_capabilities(struct err *err)
{
	/* Kernels before 4.3 have no ambient set and nothing to clear in it. */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* The bounding set takes CAP_SETPCAP to shrink; without it there is nothing in it that no_new_privs lets come back. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);

	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	if (syscall(SYS_capset, &header, none) != 0)
		return fail_errno(err, "cannot drop capabilities");
	return 0;
}
