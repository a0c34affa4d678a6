#include "base/buf.h"
#include "daemon/config.h"
#include "daemon/state_dir.h"
#include "os/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static struct err err;
static struct config config;

static void test_defaults_read(void **state)
{
	(void)state;
	assert_int_equal(config_parse(STR_EMPTY, "c.yaml", &config, &err), 0);
	assert_string_equal(config.value[CONFIG_APPROVALS_EXPIRY], "86400");
	assert_string_equal(config.value[CONFIG_APPROVALS_GRANTS], "0");
	assert_string_equal(config.value[CONFIG_VAULT_AUTO_LOCK], "43200000");
	assert_string_equal(config.value[CONFIG_AUDIT_KEEP_DAYS], "0");
	assert_string_equal(config.value[CONFIG_OTLP_ENDPOINT], "");
	assert_string_equal(config.value[CONFIG_OTLP_SERVICE], "aileron");
	assert_false(config.set[CONFIG_APPROVALS_GRANTS]);
	for (int i = 0; i < CONFIG__MAX; i++)
		assert_int_equal(config_row_named(str_from(config_rows[i].key)), i);
}

static void test_what_is_set(void **state)
{
	(void)state;
	struct str text = S("# mine\napprovals:\n  grants: true\n  expiry: 90m\ndaemon: {port: 8443}\nmcp:\n"
			    "vault: {auto_lock: 0s}\naudit: {keep_days: 30}\notlp:\n  service: my box\n"
			    "  endpoint: http://127.0.0.1:4318\n");
	if (config_parse(text, "c.yaml", &config, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(config.value[CONFIG_APPROVALS_GRANTS], "1");
	assert_string_equal(config.text[CONFIG_APPROVALS_EXPIRY], "90m");
	assert_string_equal(config.value[CONFIG_APPROVALS_EXPIRY], "5400");
	assert_string_equal(config.value[CONFIG_DAEMON_PORT], "8443");
	assert_true(config.set[CONFIG_DAEMON_PORT]);
	assert_string_equal(config.value[CONFIG_VAULT_AUTO_LOCK], "0");
	assert_string_equal(config.value[CONFIG_AUDIT_KEEP_DAYS], "30");
	assert_string_equal(config.value[CONFIG_OTLP_SERVICE], "my box");
	assert_string_equal(config.value[CONFIG_OTLP_ENDPOINT], "http://127.0.0.1:4318");
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
		const char *why;
	} rows[] = {
		{"approvals:\n  grant: true\n", 2, "'approvals.grant' is no setting"},
		{"approvals:\n  grant: true\n", 2, "there are approvals.grants, approvals.confirm, "},
		{"approvals:\n  grants: yes\n", 2, "true or false"},
		{"approvals:\n  confirm: pin\n", 2, "none or passphrase"},
		{"approvals:\n  expiry: 0s\n", 2, "1s to 720h"},
		{"approvals:\n  expiry: 721h\n", 2, "1s to 720h"},
		{"daemon:\n  port: 65536\n", 2, "0 to 65535"},
		{"gateway:\n  openai: ftp://a.example\n", 2, "https://"},
		{"gateway:\n  openai: https://\n", 2, "address"},
		{"gateway:\n  inject_openai: a b\n", 2, "entry of the vault"},
		{"vault:\n  auto_lock: soon\n", 2, "0s for never"},
		{"vault:\n  auto_lock: 8761h\n", 2, "0s for never"},
		{"audit:\n  keep_days: 36501\n", 2, "to 36500"},
		{"otlp:\n  endpoint: 127.0.0.1:4318\n", 2, "an address"},
		{"otlp:\n  service: ''\n", 2, "a name"},
		{"gateway:\n  openai: ''\n", 2, "an address"},
		{"approvals: true\n", 1, "'approvals' is no mapping"},
		{"approvals:\n  grants:\n", 2, "no value"},
		{"approvals:\n  grants: [true]\n", 2, "no value"},
		{"- a\n", 1, "no mapping"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		err_clear(&err);
		if (config_parse(str_from(rows[i].text), "c.yaml", &config, &err) == 0)
			fail_msg("accepted:\n%s", rows[i].text);
		if (err.line != rows[i].line || strstr(err.message, rows[i].why) == NULL)
			fail_msg("line %u, '%s' of:\n%s", (unsigned)err.line, err.message, rows[i].text);
	}
}

static void expect_file(const char *path, const char *text)
{
	AUTO_BUF found = BUF_INIT(CONFIG_MAX);
	assert_int_equal(file_read(path, &found, &err), 0);
	assert_string_equal(found.p, text);
}

static void test_changes_keep_the_rest(void **state)
{
	(void)state;
	char folder[] = "/tmp/config-XXXXXX";
	assert_non_null(mkdtemp(folder));
	AUTO_FREE char *path = state_dir_file(folder, CONFIG_FILE);
	struct stat st;
	assert_int_equal(config_change(folder, CONFIG_APPROVALS_GRANTS, "true", &err), 1);
	expect_file(path, "approvals:\n  grants: true\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(config_change(folder, CONFIG_APPROVALS_GRANTS, "true", &err), 0);
	assert_int_equal(file_replace(path, S("# mine\napprovals:\n  grants: true # so\n"), 0600, &err), 0);
	assert_int_equal(config_change(folder, CONFIG_APPROVALS_CONFIRM, "passphrase", &err), 1);
	expect_file(path, "# mine\napprovals:\n  grants: true # so\n  confirm: passphrase\n");
	assert_int_equal(config_change(folder, CONFIG_APPROVALS_CONFIRM, "pin", &err), -1);
	assert_int_equal(err.class, ERR_USAGE);
	assert_int_equal(config_change(folder, CONFIG_APPROVALS_GRANTS, NULL, &err), 1);
	expect_file(path, "# mine\napprovals:\n  confirm: passphrase\n");
	assert_int_equal(config_change(folder, CONFIG_APPROVALS_GRANTS, NULL, &err), 0);
	assert_int_equal(config_load(folder, &config, &err), 0);
	assert_string_equal(config.value[CONFIG_APPROVALS_CONFIRM], "passphrase");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(config_load(folder, &config, &err), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_read),
		cmocka_unit_test(test_what_is_set),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_changes_keep_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
