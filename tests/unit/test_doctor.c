#include "cli/doctor.h"
#include "base/mem.h"
#include "os/file.h"
#include "store/db.h"
#include "text/json.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>

static char folder[64];
static struct err err;

static const char *in_folder(const char *name)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/aileron-test-doctor-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	(void)state;
	static const char *const names[] = {"keeper.pub", "daemon.json", "control/aileron.db", "control/aileron.db-wal",
					    "control/aileron.db-shm"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlink(in_folder(names[i]));
	rmdir(in_folder("control"));
	return rmdir(folder);
}

/* The one check of that name; its summary, and whether it was well. */
static bool look(const char *name, bool daemon_runs, char summary[512])
{
	AUTO_BUF checks = BUF_INIT(1 << 20), all = BUF_INIT(1 << 20);
	struct doctor doctor = {.checks = &checks, .ok = true};
	bool ok = false, found = false, every = true;
	struct str text;
	doctor_look(&doctor, folder, daemon_runs);
	buf_addf(&all, "[%s]", checks.p);
	AUTO(json) *json = json_parse(buf_str(&all), JSON_READ_STRICT, &err);
	assert_non_null(json);
	summary[0] = '\0';
	for (size_t i = 0; i < json_length(json); i++) {
		const struct json *check = json_at(json, i);
		bool this_ok = false;
		assert_true(json_get_bool(json_member(check, S("ok")), &this_ok));
		every = every && this_ok;
		if (!json_get_str(json_member(check, S("name")), &text) || !str_eq(text, str_from(name)))
			continue;
		found = true;
		ok = this_ok;
		assert_true(json_get_str(json_member(check, S("summary")), &text));
		snprintf(summary, 512, "%.*s", STR_FMT(text));
		assert_int_equal(json_member(check, S("advice")) != NULL, !this_ok);
	}
	assert_int_equal(every, doctor.ok);
	return found && ok;
}

static void modes_are_looked_at(void **state)
{
	(void)state;
	char summary[512];
	assert_true(look("state directory", false, summary));
	assert_int_equal(file_replace(in_folder("keeper.pub"), S("x"), 0600, &err), 0);
	assert_true(look("state directory", false, summary));
	chmod(in_folder("keeper.pub"), 0644);
	assert_false(look("state directory", false, summary));
	assert_non_null(strstr(summary, "'keeper.pub' has mode 0644, not 0600"));
	unlink(in_folder("keeper.pub"));
	assert_int_equal(symlink("/etc/passwd", in_folder("keeper.pub")), 0);
	assert_false(look("state directory", true, summary));
	assert_non_null(strstr(summary, "something else"));
	unlink(in_folder("keeper.pub"));
	chmod(folder, 0755);
	assert_false(look("state directory", false, summary));
	chmod(folder, 0700);
}

static void what_the_daemon_would_not_start_with_is_told(void **state)
{
	(void)state;
	char summary[512];
	assert_int_equal(mkdir(in_folder("vault"), 0700), 0);
	assert_int_equal(file_replace(in_folder("secrets.json"), S("{}"), 0600, &err), 0);
	assert_false(look("start", false, summary)); /* one vault moves by itself: there is nothing to tell */
	assert_string_equal(summary, "");
	assert_int_equal(file_replace(in_folder("vault/secrets.json"), S("{}"), 0600, &err), 0);
	assert_false(look("start", false, summary));
	assert_non_null(strstr(summary, "two vaults"));
	unlink(in_folder("vault/secrets.json"));
	unlink(in_folder("secrets.json"));
	rmdir(in_folder("vault"));
}

static void a_folder_that_is_not_there_is_well(void **state)
{
	(void)state;
	char summary[512];
	rmdir(folder);
	assert_true(look("state directory", false, summary));
	assert_true(look("database", false, summary));
	assert_int_equal(mkdir(folder, 0700), 0);
}

static void the_database_is_looked_at_and_left(void **state)
{
	(void)state;
	char summary[512], before[4096], after[4096];
	assert_true(getcwd(before, sizeof before) != NULL);
	assert_int_equal(mkdir(in_folder("control"), 0700), 0);
	assert_int_equal(chdir(in_folder("control")), 0);
	struct db *db = db_open(&(struct db_options){.name = "aileron.db"}, &err);
	assert_non_null(db);
	db_close(db);
	assert_int_equal(chdir(before), 0);
	assert_true(look("database", false, summary));
	assert_true(look("audit chain", false, summary));
	assert_non_null(strstr(summary, "0 events"));
	assert_false(look("database", true, summary)); /* the running daemon looks itself */
	assert_string_equal(summary, "");
	AUTO_BUF bad = BUF_INIT(65536);
	while (bad.n < 8192)
		buf_add_z(&bad, "no database ");
	assert_int_equal(file_replace(in_folder("control/aileron.db"), buf_str(&bad), 0600, &err), 0);
	assert_false(look("database", false, summary));
	AUTO_BUF now = BUF_INIT(65536);
	assert_int_equal(file_read(in_folder("control/aileron.db"), &now, &err), 0);
	assert_true(str_eq(buf_str(&now), buf_str(&bad)));
	assert_true(getcwd(after, sizeof after) != NULL);
	assert_string_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(modes_are_looked_at, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(what_the_daemon_would_not_start_with_is_told, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_well, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(the_database_is_looked_at_and_left, make_folder, remove_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
