#include "confine/steps.h"
#include "base/mem.h"
#include <errno.h>
#include <seccomp.h>

static void free_filter(scmp_filter_ctx *filter)
{
	if (*filter != NULL)
		seccomp_release(*filter);
}
#define AUTO_FILTER __attribute__((cleanup(free_filter))) scmp_filter_ctx

/* All of these return a negative errno, as libseccomp does. */
static int set_up(scmp_filter_ctx filter, bool all_threads)
{
	const struct {
		enum scmp_filter_attr attr;
		uint32_t value;
	} settings[] = {
		{SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS}, /* 32-bit and x32 entries */
		{SCMP_FLTATR_CTL_NNP, 0},                         /* set before, by privilege_give_up() */
		{SCMP_FLTATR_CTL_OPTIMIZE, 2},                    /* a binary tree instead of a chain */
		{SCMP_FLTATR_CTL_TSYNC, all_threads},
	};
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		int result = seccomp_attr_set(filter, settings[i].attr, settings[i].value);
		if (result != 0)
			return result;
	}
	return 0;
}

static int add_row(scmp_filter_ctx filter, const struct confine_syscall *row)
{
	struct scmp_arg_cmp tests[CONFINE_TESTS];
	unsigned n = 0;
	for (; n < CONFINE_TESTS && row->tests[n].mask != 0; n++) {
		const struct confine_test *test = &row->tests[n];
		scmp_datum_t value = test->value == CONFINE_OWN_PID ? (scmp_datum_t)getpid() : test->value;
		tests[n] = SCMP_CMP64(test->argument, SCMP_CMP_MASKED_EQ, test->mask, value);
	}
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, row->number, n, tests);
}

static int add_group(scmp_filter_ctx filter, const struct confine_syscall *rows)
{
	int result = 0;
	for (const struct confine_syscall *row = rows; result == 0 && row->number != -1; row++)
		result = add_row(filter, row);
	return result;
}

static int add_rules(scmp_filter_ctx filter, const struct confine_syscall *const *groups)
{
	/* Its flags lie in memory, out of a filter's sight; libc takes this answer for an old kernel and uses clone. */
	int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (const struct confine_syscall *const *group = groups; result == 0 && *group != NULL; group++)
		result = add_group(filter, *group);
	return result;
}

int seccomp_confine(const struct confine_policy *policy, bool all_threads, struct err *err)
{
	AUTO_FILTER filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (filter == NULL)
		return fail(err, ERR_SYSTEM, "cannot make a system call filter");
	int result = set_up(filter, all_threads);
	if (result == 0)
		result = add_rules(filter, policy->syscalls);
	if (result == 0)
		result = seccomp_load(filter);
	if (result == 0)
		return 0;
	errno = -result;
	return fail_errno(err, "cannot load the system call filter of '%s'", policy->name);
}
