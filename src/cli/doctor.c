#include "cli/doctor.h"
#include "audit/audit.h"
#include "base/escape.h"
#include "base/hex.h"
#include "base/limits.h"
#include "cli/sealing.h"
#include "daemon/config.h"
#include "daemon/state_dir.h"
#include "os/child.h"
#include "os/file.h"
#include "store/db.h"
#include "text/json_members.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LOCKED_ARENA MIB /* what the keeper wants locked */
#define TEXT_MAX     ((size_t)8 << 10)

void doctor_add(struct doctor *doctor, const char *name, bool ok, struct str summary, const char *advice)
{
	struct json_writer w;
	jsonw_init(&w, doctor->checks, JSON_WRITER_PLAIN);
	if (doctor->checks->n > 0)
		buf_add_char(doctor->checks, ',');
	jsonw_begin_object(&w);
	member_str(&w, "name", str_from(name));
	member_bool(&w, "ok", ok);
	member_str(&w, "summary", summary);
	if (advice[0] != '\0' && !ok)
		member_str(&w, "advice", str_from(advice));
	jsonw_end_object(&w);
	doctor->ok = doctor->ok && ok;
}

/* ---------------------------------------------------------------------------------------------------- the state directory */

struct expected {
	const char *name;
	mode_t type, mode;
};
static const struct expected expected[] = {
	{"daemon.json", S_IFREG, 0600}, {"daemon.pid", S_IFREG, 0600},   {"daemon.lock", S_IFREG, 0600},
	{"daemon.log", S_IFREG, 0600},  {"daemon.sock", S_IFSOCK, 0600}, {"keeper.pub", S_IFREG, 0600},
	{"device.pub", S_IFREG, 0600},  {"vault", S_IFDIR, 0700},        {"control", S_IFDIR, 0700},
};

/* What is not as it should be, appended; what does not exist yet is fine. */
static void look_at_entry(int folder, const struct expected *entry, struct buf *wrong)
{
	struct stat st;
	if (fstatat(folder, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	const char *between = wrong->n > 0 ? "; " : "";
	if ((st.st_mode & S_IFMT) != entry->type)
		buf_addf(wrong, "%s'%s' is something else than it should be", between, entry->name);
	else if (st.st_uid != geteuid())
		buf_addf(wrong, "%s'%s' belongs to another user", between, entry->name);
	else if ((st.st_mode & 07777) != entry->mode)
		buf_addf(wrong, "%s'%s' has mode %04o, not %04o", between, entry->name, (unsigned)(st.st_mode & 07777),
			 (unsigned)entry->mode);
}

/* What lies in one of the folders is its process's alone. */
static void look_within(int folder, const char *name, struct buf *wrong)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	const struct dirent *found;
	while ((found = readdir(dir)) != NULL) {
		struct stat st;
		if (found->d_name[0] == '.' || fstatat(fd, found->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (st.st_uid != geteuid() || (st.st_mode & 0077) != 0) {
			buf_addf(wrong, "%s'%s/", wrong->n > 0 ? "; " : "", name);
			escape_visible(wrong, str_from(found->d_name));
			buf_addf(wrong, "' has mode %04o or another owner", (unsigned)(st.st_mode & 07777));
		}
	}
	closedir(dir);
}

static void look_at_state_dir(struct doctor *doctor, const char *path)
{
	static struct err err;
	AUTO_BUF wrong = BUF_INIT(TEXT_MAX);
	AUTO_FD folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 && errno == ENOENT) {
		doctor_add(doctor, "state directory", true, S("there is none yet"), "");
		return;
	}
	err_clear(&err);
	if (folder < 0)
		fail_errno(&err, "cannot open '%s'", path);
	if (folder < 0 || file_check_private_folder(folder, path, &err) < 0) {
		doctor_add(doctor, "state directory", false, str_from(err.message), "chmod 700 it, or see whose it is");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		look_at_entry(folder, &expected[i], &wrong);
	look_within(folder, "vault", &wrong);
	look_within(folder, "control", &wrong);
	doctor_add(doctor, "state directory", wrong.n == 0, wrong.n == 0 ? str_from(path) : buf_str(&wrong),
		   "chmod them so; who could read keys and tokens may have: restart the daemon, and think of your "
		   "passphrase");
	if (state_dir_check(path, &err) < 0)
		doctor_add(doctor, "start", false, str_from(err.message),
			   "the daemon does not start before that is mended");
}

/* Without them nothing can be sealed for the keeper, and no export be proven; which is seen at their use alone. */
void doctor_look_at_keys(struct doctor *doctor, const char *state_dir, struct str keeper)
{
	static const char advice[] = "run 'aileron daemon restart', which writes them anew";
	static struct err err;
	unsigned char key[SEALED_PUBLIC], device[SEALED_PUBLIC];
	char text[2 * SEALED_PUBLIC + 1];
	err_clear(&err);
	if (sealing_read_key(state_dir, "keeper.pub", key, &err) < 0 ||
	    sealing_read_key(state_dir, "device.pub", device, &err) < 0) {
		doctor_add(doctor, "public keys", false, str_from(err.message), advice);
		return;
	}
	hex_format(str_of(key, sizeof key), text);
	if (keeper.n > 0 && !str_eq(keeper, str_from(text)))
		doctor_add(doctor, "public keys", false, S("keeper.pub is not the key of the keeper that runs"),
			   advice);
	else
		doctor_add(doctor, "public keys", true, S("keeper.pub and device.pub are there"), "");
}

static void look_at_config(struct doctor *doctor, const char *state_dir)
{
	static struct config config;
	static struct err err;
	static char text[TEXT_MAX];
	unsigned n = 0;
	err_clear(&err);
	bool ok = config_load(state_dir, &config, &err) == 0;
	for (size_t i = 0; ok && i < CONFIG__MAX; i++)
		n += config.set[i];
	snprintf(text, sizeof text, "%u of %d settings are set", n, CONFIG__MAX);
	doctor_add(doctor, "configuration", ok, str_from(ok ? text : err_text_at(&err, text, sizeof text)),
		   "mend the file; until then the daemon is not started anew");
}

/* --------------------------------------------------------------------------------------------------------- the machine */

static void look_at_programs(struct doctor *doctor)
{
	static const char *const programs[] = {"aileron-control", "aileron-keeper", "aileron-egress", "aileron-runner"};
	static struct err err;
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		err_clear(&err);
		AUTO_FREE char *path = child_own_program(programs[i], &err);
		if (path != NULL)
			continue;
		doctor_add(doctor, "programs", false, str_from(err.message),
			   "install all programs of one version together");
		return;
	}
	doctor_add(doctor, "programs", true, S("all are there"), "");
}

static bool number_in(const char *path, uint64_t *ret)
{
	AUTO_BUF text = BUF_INIT(64);
	return file_read(path, &text, NULL) == 0 && str_to_u64(str_trim(buf_str(&text)), UINT64_MAX, ret);
}

/* Why a user namespace would be refused, as far as the kernel tells without making one; NULL when it does not say. */
static const char *namespaces_refused(void)
{
	uint64_t value;
	if (number_in("/proc/sys/user/max_user_namespaces", &value) && value == 0)
		return "user.max_user_namespaces is 0";
	if (geteuid() != 0 && number_in("/proc/sys/kernel/unprivileged_userns_clone", &value) && value == 0)
		return "kernel.unprivileged_userns_clone is 0";
	if (geteuid() != 0 && number_in("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", &value) && value == 1)
		return "kernel.apparmor_restrict_unprivileged_userns is 1";
	return access("/proc/self/ns/user", F_OK) == 0 ? NULL : "the kernel has no user namespaces";
}

static void look_at_kernel(struct doctor *doctor)
{
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	unsigned action = SECCOMP_RET_ERRNO;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	bool seccomp = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
	const char *refused = namespaces_refused();
	buf_addf(&text, "Landlock ABI %ld, seccomp %s, user namespaces %s", abi > 0 ? abi : 0L, seccomp ? "yes" : "no",
		 refused == NULL ? "yes" : "no: ");
	buf_add_z(&text, refused != NULL ? refused : "");
	doctor_add(
		doctor, "confinement", abi > 0 && seccomp && refused == NULL, buf_str(&text),
		"the daemon says which boundary is missing, and refuses until it is there or you go without it by name "
		"(--allow-unconfined)");
}

static void look_at_memory(struct doctor *doctor)
{
	struct rlimit limit = {0, 0};
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		buf_add_z(&text, "as much as there is may be locked");
	else
		buf_addf(&text, "%llu KiB may be locked", (unsigned long long)(limit.rlim_cur / KIB));
	doctor_add(doctor, "locked memory", limit.rlim_cur >= LOCKED_ARENA, buf_str(&text),
		   "raise the limit of locked memory to 1 MiB or more (ulimit -l, LimitMEMLOCK=): without it the vault "
		   "cannot "
		   "be unlocked");
}

/* ---------------------------------------------------------------------------------------------------------- the record */

static void look_at_chain(struct doctor *doctor, struct db *db)
{
	static struct err err;
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	struct audit_verdict verdict = {0};
	struct db_tx *tx = db_read(db);
	err_clear(&err);
	int rc = audit_verify_db(tx, STR_EMPTY, &verdict, &err);
	db_done(tx);
	if (rc < 0)
		buf_add_z(&text, err.message);
	else if (!verdict.intact)
		buf_add_z(&text, verdict.why);
	else
		buf_addf(&text, "%llu events, the chain is whole", (unsigned long long)verdict.events);
	doctor_add(doctor, "audit chain", rc == 0 && verdict.intact, buf_str(&text),
		   "somebody or something changed the record; keep the file, and compare it with earlier exports");
}

/* db.h opens names without a folder: the working directory is the database's for as long as it takes. */
static void look_at_database(struct doctor *doctor, const char *state_dir)
{
	static struct err err;
	AUTO_FREE char *path = state_dir_file(state_dir, "control");
	AUTO_FD here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (here < 0 || folder < 0 || faccessat(folder, "aileron.db", F_OK, 0) < 0 || fchdir(folder) < 0) {
		doctor_add(doctor, "database", true, S("there is none yet"), "");
		return;
	}
	err_clear(&err);
	AUTO(db) *db = db_open(&(struct db_options){.name = "aileron.db", .read_only = true, .readers = 1}, &err);
	bool whole = db != NULL && db_check(db, &err) == 0;
	doctor_add(doctor, "database", whole, whole ? S("whole") : str_from(err.message),
		   "keep the file; restore it from a backup, or move it away and start anew");
	if (whole)
		look_at_chain(doctor, db);
	if (fchdir(here) < 0)
		doctor_add(doctor, "working directory", false, S("it cannot be entered again"), "");
}

void doctor_look(struct doctor *doctor, const char *state_dir, bool daemon_runs)
{
	look_at_state_dir(doctor, state_dir);
	look_at_config(doctor, state_dir);
	look_at_programs(doctor);
	look_at_kernel(doctor);
	look_at_memory(doctor);
	if (!daemon_runs)
		look_at_database(doctor, state_dir);
}
