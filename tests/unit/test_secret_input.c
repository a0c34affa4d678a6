#include "cli/secret_input.h"
#include "base/mem.h"
#include "cli/passphrase.h"
#include "os/file.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>

static char folder[64];
static char path[128];
static struct err err;

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/aileron-test-secret-input-XXXXXX");
	snprintf(path, sizeof path, "%s/file", mkdtemp(folder));
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void write_file(struct str bytes, mode_t mode)
{
	assert_int_equal(file_replace(path, bytes, mode, &err), 0);
}

static void files_are_taken_as_they_are(void **state)
{
	(void)state;
	write_file(S("a\r\n\0b\n"), 0600);
	AUTO(secret) *whole = secret_input_file(path, &err);
	assert_true(secret_eq(whole, S("a\r\n\0b\n")));
	AUTO(secret) *lines = secret_input_line_file(path, &err);
	assert_true(secret_eq(lines, S("a\r\n\0b")));
	write_file(S("\n\r\n"), 0600);
	AUTO(secret) *nothing = secret_input_line_file(path, &err);
	assert_int_equal(secret_size(nothing), 0);
	AUTO(secret) *none = secret_input_file("/nonexistent/file", &err);
	assert_null(none);
	assert_int_equal(err.class, ERR_SYSTEM);
	assert_null(secret_without_line_end(NULL, &err));
}

static void more_than_a_secret_holds_is_refused(void **state)
{
	(void)state;
	char *bytes = xcalloc(1, SECRET_MAX + 1);
	write_file(str_of(bytes, SECRET_MAX), 0600);
	AUTO(secret) *most = secret_input_file(path, &err);
	assert_int_equal(secret_size(most), SECRET_MAX);
	write_file(str_of(bytes, SECRET_MAX + 1), 0600);
	AUTO(secret) *more = secret_input_file(path, &err);
	assert_null(more);
	assert_int_equal(err.class, ERR_LIMIT);
	free(bytes);
}

static void a_pipe_in_pieces(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "ab", 2), 2);
	assert_int_equal(write(ends[1], "cd", 2), 2);
	close(ends[1]);
	AUTO(secret) *all = secret_input_fd(ends[0], "a pipe", &err);
	assert_true(secret_eq(all, S("abcd")));
	close(ends[0]);
}

static void key_files_are_ours_alone(void **state)
{
	(void)state;
	static const char bytes[33] = "0123456789abcdef0123456789abcdef";
	write_file(str_of(bytes, 32), 0600);
	AUTO(secret) *key = key_file_read(path, &err);
	assert_true(secret_eq(key, str_of(bytes, 32)));
	static const mode_t modes[] = {0640, 0604, 0660, 0601};
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		chmod(path, modes[i]);
		AUTO(secret) *open_to_others = key_file_read(path, &err);
		assert_null(open_to_others);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	}
	for (size_t n = 31; n <= 33; n += 2) {
		write_file(str_of(bytes, n), 0600);
		AUTO(secret) *wrong = key_file_read(path, &err);
		assert_null(wrong);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	}
	AUTO(secret) *device = key_file_read("/dev/zero", &err);
	assert_null(device);
}

static void a_key_file_is_made_once(void **state)
{
	(void)state;
	bool made = false;
	struct stat st;
	AUTO(secret) *first = key_file_read_or_make(path, &made, &err);
	assert_true(made);
	assert_int_equal(secret_size(first), KEY_FILE_SIZE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	AUTO(secret) *again = key_file_read_or_make(path, &made, &err);
	assert_false(made);
	assert_true(secret_eq(again, secret_borrow(first)));
	write_file(S("short"), 0600);
	AUTO(secret) *other = key_file_read_or_make(path, &made, &err);
	assert_null(other);
}

/* --------------------------------------------------------------------------------------------------------- passphrases */

static struct verb_line line;

static int get(const char *variable, struct passphrase *ret, const char *const *args)
{
	static char copies[8][192];
	char *argv[9];
	int argc = 1;
	argv[0] = copies[0];
	for (; args[argc - 1] != NULL; argc++) {
		snprintf(copies[argc], sizeof copies[argc], "%s", args[argc - 1]);
		argv[argc] = copies[argc];
	}
	argv[argc] = NULL;
	assert_int_equal(verb_parse(verbs, argc, argv, &line, &err), 0);
	AUTO(secret) *passphrase = variable != NULL ? secret_from(str_from(variable), &err) : NULL;
	struct cli cli = {.line = &line, .passphrase = passphrase};
	err_clear(&err);
	return passphrase_get(&cli, &passphrase_present, ret, &err);
}
#define GET(variable, ret, ...)                                                                                        \
	get(variable, ret, (const char *const[]){"vault", "unlock", __VA_ARGS__ __VA_OPT__(, ) NULL})

static void sources_in_their_order(void **state)
{
	(void)state;
	AUTO_PASSPHRASE got = {.bytes = NULL};
	write_file(S("of the file\r\n"), 0600);
	assert_int_equal(GET("of the variable ", &got, "--passphrase-file", path), 1);
	assert_true(secret_eq(got.bytes, S("of the file")));
	assert_false(got.key_file || got.typed);
	passphrase_release(&got);
	assert_int_equal(GET("of the variable ", &got), 1);
	assert_true(secret_eq(got.bytes, S("of the variable ")));
	passphrase_release(&got);
	write_file(S("0123456789abcdef0123456789abcdef"), 0600);
	assert_int_equal(GET("of the variable", &got, "--key-file", path), 1);
	assert_true(got.key_file);
	struct sealed_field field = passphrase_field(&got);
	assert_int_equal(field.tag, SEALED_KEY_FILE);
	assert_int_equal(passphrase_new_field(&got).tag, SEALED_NEW_KEY_FILE);
	passphrase_release(&got);
	assert_int_equal(GET(NULL, &got, "--key-file", path, "--passphrase-file", path), -1);
	assert_int_equal(err.class, ERR_USAGE);
	write_file(S("\n"), 0600);
	assert_int_equal(GET("x", &got, "--passphrase-file", path), -1);
	assert_int_equal(err.class, ERR_MISSING_PASSPHRASE);
	assert_null(got.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_taken_as_they_are, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(more_than_a_secret_holds_is_refused, make_folder, remove_folder),
		cmocka_unit_test(a_pipe_in_pieces),
		cmocka_unit_test_setup_teardown(key_files_are_ours_alone, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_key_file_is_made_once, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(sources_in_their_order, make_folder, remove_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
