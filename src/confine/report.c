#include "confine/confine.h"
#include "base/mem.h"
#include "text/wire.h"
#include <linux/sched.h>

/* What can stop an act before seccomp, when it is there: any of these. */
struct act_row {
	const char *name;
	int landlock_abi;    /* from this ABI on; 0 = never */
	uint64_t namespaces; /* any of these */
	bool empty_root;
};

static const struct act_row acts[CONFINE_ACT__MAX] = {
	[CONFINE_OPEN_FILE] = {"open a file", 1, 0, true},
	[CONFINE_WRITE_FILE] = {"write a file", 1, 0, true},
	[CONFINE_CONNECT] = {"connect", 4, CLONE_NEWNET, false},
	[CONFINE_LISTEN] = {"listen", 4, 0, false}, /* a network namespace gives it somewhere to listen */
	[CONFINE_EXEC] = {"execute a program", 1, 0, true},
	[CONFINE_SIGNAL] = {"signal its parent", 6, CLONE_NEWPID, false},
	[CONFINE_PTRACE] = {"trace its parent", 1, CLONE_NEWPID | CLONE_NEWUSER, false},
	[CONFINE_FORK] = {"start a process", 0, 0, false},
};

static const char *const boundaries[] = {"namespaces", "root", "landlock", "capabilities", "seccomp"};

const char *confine_act_name(enum confine_act act)
{
	return acts[act].name;
}

bool confine_is_boundary(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(boundaries); i++) {
		if (str_eq(word, str_from(boundaries[i])))
			return true;
	}
	return false;
}

static bool list_has(struct str list, struct str word)
{
	while (list.n > 0) {
		struct str head;
		list = str_cut(list, ',', &head);
		if (str_eq(str_trim(head), word))
			return true;
	}
	return false;
}

static bool stopped_before_seccomp(const struct confine_report *report, const struct act_row *row)
{
	return (row->landlock_abi > 0 && report->landlock_abi >= row->landlock_abi) ||
	       (report->namespaces & row->namespaces) != 0 || (row->empty_root && report->empty_root);
}

static void add_item(struct buf *out, const char *item)
{
	if (out->n > 0)
		buf_add_z(out, ", ");
	buf_add_z(out, item);
}

/* The acts that a boundary which is there should have stopped and did not, or that were not even tried. */
static void find_breaches(const struct confine_report *report, struct buf *could, struct buf *untried)
{
	for (int act = 0; act < CONFINE_ACT__MAX; act++) {
		const struct act_row *row = &acts[act];
		const struct confine_attempt *before = &report->before_seccomp[act], *after = &report->after[act];
		if (!before->tried || !after->tried) {
			if (act != CONFINE_CONNECT)
				add_item(untried, row->name);
			continue;
		}
		bool stopped = stopped_before_seccomp(report, row);
		if ((stopped && before->error == 0) || ((stopped || report->seccomp) && after->error == 0))
			add_item(could, row->name);
	}
}

static void find_missing(struct str missing, struct str allowed, struct buf *out)
{
	while (missing.n > 0) {
		struct str word;
		missing = str_cut(missing, ',', &word);
		if (list_has(allowed, word))
			continue;
		if (out->n > 0)
			buf_add_char(out, ',');
		buf_add_str(out, word);
	}
}

int confine_judge(const struct confine_report *report, const char *program, struct str allowed, struct err *err)
{
	AUTO_BUF could = BUF_INIT(1024);
	AUTO_BUF untried = BUF_INIT(1024);
	AUTO_BUF missing = BUF_INIT(1024);
	find_breaches(report, &could, &untried);
	find_missing(str_from(report->missing), allowed, &missing);

	if (!report->no_new_privs)
		return fail(err, ERR_UNCONFINED, "'%s' is not confined: it may gain privileges", program);
	if (could.n > 0)
		return fail(err, ERR_UNCONFINED, "'%s' is not confined: it could %s", program, could.p);
	if (untried.n > 0)
		return fail(err, ERR_UNCONFINED, "'%s' did not prove its confinement: it did not try to %s", program,
			    untried.p);
	if (missing.n > 0)
		return fail(err, ERR_UNCONFINED,
			    "'%s' cannot be confined on this machine: %s missing; "
			    "--allow-unconfined=%s goes on without",
			    program, missing.p, missing.p);
	return 0;
}

static void put_attempts(struct buf *out, const struct confine_attempt *attempts)
{
	for (int act = 0; act < CONFINE_ACT__MAX; act++) {
		wire_put_bool(out, attempts[act].tried);
		wire_put_i32(out, attempts[act].error);
	}
}

void confine_report_put(struct buf *out, const struct confine_report *report)
{
	wire_put_u64(out, report->namespaces);
	wire_put_bool(out, report->empty_root);
	wire_put_i32(out, report->landlock_abi);
	wire_put_bool(out, report->seccomp);
	wire_put_bool(out, report->no_new_privs);
	wire_put_u32(out, CONFINE_ACT__MAX);
	put_attempts(out, report->before_seccomp);
	put_attempts(out, report->after);
	wire_put_str(out, str_from(report->missing));
}

static void get_attempts(struct wire_reader *r, struct confine_attempt *ret)
{
	for (int act = 0; act < CONFINE_ACT__MAX; act++) {
		ret[act].tried = wire_bool(r);
		ret[act].error = wire_i32(r);
	}
}

/* Words of this list alone, so that a message made of them cannot say anything else. */
static bool are_boundaries(struct str list)
{
	while (list.n > 0) {
		struct str word;
		list = str_cut(list, ',', &word);
		if (!confine_is_boundary(word))
			return false;
	}
	return true;
}

int confine_report_get(struct str body, struct confine_report *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct confine_report got = {0};
	got.namespaces = wire_u64(&r);
	got.empty_root = wire_bool(&r);
	got.landlock_abi = wire_i32(&r);
	got.seccomp = wire_bool(&r);
	got.no_new_privs = wire_bool(&r);
	uint32_t n_acts = wire_u32(&r);
	get_attempts(&r, got.before_seccomp);
	get_attempts(&r, got.after);
	struct str missing = wire_str(&r);
	if (wire_done(&r, "confinement report", err) != 0)
		return -1;
	if (n_acts != CONFINE_ACT__MAX || missing.n >= sizeof got.missing || !are_boundaries(missing))
		return fail(err, ERR_PROTOCOL, "the confinement report is not one of this version");
	if (missing.n > 0)
		memcpy(got.missing, missing.p, missing.n);
	*ret = got;
	return 0;
}

static const char *error_name(int error, char *buf, size_t n)
{
	const char *name = error == 0 ? "let through" : strerrorname_np(error);
	if (name != NULL)
		return name;
	snprintf(buf, n, "error %d", error);
	return buf;
}

void confine_report_text(struct buf *out, const struct confine_report *report)
{
	for (int act = 0; act < CONFINE_ACT__MAX; act++) {
		char one[24], two[24];
		const struct confine_attempt *before = &report->before_seccomp[act], *after = &report->after[act];
		if (!before->tried || !after->tried)
			buf_addf(out, "%s: not tried\n", acts[act].name);
		else
			buf_addf(out, "%s: %s (%s before seccomp)\n", acts[act].name,
				 error_name(after->error, one, sizeof one), error_name(before->error, two, sizeof two));
	}
	buf_addf(out, "landlock: ABI %d\n", report->landlock_abi);
	buf_addf(out, "missing: %s\n", report->missing[0] != '\0' ? report->missing : "nothing");
}
