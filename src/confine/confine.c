#include "confine/confine.h"
#include "base/mem.h"
#include "confine/sanitized.h"
#include "confine/steps.h"
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if CONFINE_SANITIZED_ADDRESS
/*
 * Looking for leaks at exit takes a second process that traces this one, which a confined process cannot have; asked
 * by the sanitizer at that time.
 */
static bool is_confined;
int __lsan_is_turned_off(void);
__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
	return is_confined;
}
#endif

/* A boundary that could not be had is no failure here: the parent decides. */
static void note_missing(struct confine_report *report, const char *boundary)
{
	size_t n = strlen(report->missing);
	snprintf(report->missing + n, sizeof report->missing - n, "%s%s", n > 0 ? "," : "", boundary);
}

static int close_others(int keep_fds, struct err *err)
{
	if (syscall(SYS_close_range, (unsigned)keep_fds, ~0U, 0) != 0)
		return fail_errno(err, "cannot close the descriptors from %d up", keep_fds);
	return 0;
}

/* Nobody is left to be a child of, and the signal that would have told came too early or not at all. */
static void end_with_parent(const struct confine_policy *policy, const struct confine_options *options)
{
	if (policy->enters && options->parent_pid > 0 && getppid() != options->parent_pid)
		_exit(1);
}

static void look_at_namespaces(const struct confine_policy *policy, const struct confine_options *options,
			       uint64_t namespaces, struct confine_report *report)
{
	report->namespaces = namespace_look(namespaces);
	if ((report->namespaces & policy->namespaces) != policy->namespaces)
		note_missing(report, "namespaces");
	if (policy->paths != NULL || (report->namespaces & CLONE_NEWNS) == 0)
		return;
	report->empty_root =
		options->own_folder > 0 ? namespace_folder_root(options->own_folder) == 0 : namespace_empty_root() == 0;
	if (!report->empty_root)
		note_missing(report, "root");
}

int confine_apply(const struct confine_policy *policy, const struct confine_options *options,
		  struct confine_report *ret_report, struct err *err)
{
	struct confine_report *report = ret_report;
	*report = (struct confine_report){0};
	uint64_t namespaces = policy->enters ? namespace_enter(options->namespaces) : options->namespaces;
	if (privilege_give_up(err) != 0 || privilege_limit(policy->rlimits, err) != 0 ||
	    close_others(options->keep_fds, err) != 0)
		return -1;
	end_with_parent(policy, options);
#if CONFINE_SANITIZED_ADDRESS
	is_confined = true;
#endif
	report->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;

	if (options->own_folder > 0 && fchdir(options->own_folder) != 0)
		return fail_errno(err, "cannot enter the process's own folder");
	look_at_namespaces(policy, options, namespaces, report);
	if (landlock_confine(policy, options->own_folder, &report->landlock_abi, NULL) != 0)
		report->landlock_abi = 0;
	if (report->landlock_abi == 0)
		note_missing(report, "landlock");
	if (privilege_drop_capabilities(NULL) != 0)
		note_missing(report, "capabilities");

	probe_acts(policy, options, report->namespaces, report->before_seccomp);
	report->seccomp = seccomp_confine(policy, false, NULL) == 0;
	if (!report->seccomp)
		note_missing(report, "seccomp");
	probe_acts(policy, options, report->namespaces, report->after);
	return 0;
}

int confine_tighten(const struct confine_policy *policy, struct err *err)
{
	return seccomp_confine(policy, true, err);
}
