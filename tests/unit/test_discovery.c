/* What lies in the state folder for other programs, and the verdict that a starter waits for. */
#include "daemon/discovery.h"
#include "daemon/listeners.h"
#include "daemon/ready.h"
#include "daemon/state_dir.h"
#include "os/file.h"
#include "os/lock.h"
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cmocka.h>

static char home[64];

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int make_home(void **state)
{
	(void)state;
	snprintf(home, sizeof home, "/tmp/test_discovery-XXXXXX");
	return mkdtemp(home) != NULL ? 0 : -1;
}

static int remove_home(void **state)
{
	(void)state;
	return nftw(home, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_json(const char *text, mode_t mode)
{
	AUTO_FREE char *path = state_dir_file(home, "daemon.json");
	assert_int_equal(file_publish(path, str_from(text), mode, NULL), 0);
}

#define TOKEN "7d2a7d2a7d2a7d2a7d2a7d2a7d2a7d2a7d2a7d2a7d2a7d2a7d2a7d2a7d2a7d2a"
#define TEXT                                                                                                           \
	"{\"url\":\"http://127.0.0.1:53817\",\"pid\":48211,\"version\":\"0.9.0\","                                     \
	"\"started_at\":\"2026-01-01T00:00:00Z\",\"token\":\"" TOKEN "\","                                             \
	"\"instance_id\":\"00112233445566778899aabbccddeeff\",\"api_revision\":3,\"socket\":\"/s/daemon.sock\"}"

static struct discovery sample(void)
{
	struct discovery d = {
		.url = "http://127.0.0.1:53817",
		.pid = 48211,
		.version = "0.9.0",
		.started_at = "2026-01-01T00:00:00Z",
		.token = secret_from(S(TOKEN), NULL),
		.instance_id = "00112233445566778899aabbccddeeff",
		.api_revision = 3,
		.socket = "/s/daemon.sock",
	};
	return d;
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	AUTO_DISCOVERY wrote = sample();
	AUTO_DISCOVERY got = {0};
	assert_int_equal(discovery_read(home, &got, NULL), 0);
	assert_int_equal(discovery_write(home, &wrote, NULL), 0);
	AUTO_BUF text = BUF_INIT(4096);
	AUTO_FREE char *json = state_dir_file(home, "daemon.json");
	AUTO_FREE char *pid = state_dir_file(home, "daemon.pid");
	assert_int_equal(file_read(json, &text, NULL), 0);
	assert_string_equal(text.p, TEXT);
	buf_clear(&text);
	assert_int_equal(file_read(pid, &text, NULL), 0);
	assert_string_equal(text.p, "48211\n");

	assert_int_equal(discovery_read(home, &got, NULL), 1);
	assert_int_equal(discovery_read(home, &got, NULL), 1); /* over what it held */
	assert_string_equal(got.url, wrote.url);
	assert_int_equal(got.pid, wrote.pid);
	assert_string_equal(got.version, wrote.version);
	assert_string_equal(got.started_at, wrote.started_at);
	assert_true(secret_eq(got.token, S(TOKEN)));
	assert_string_equal(got.instance_id, wrote.instance_id);
	assert_int_equal(got.api_revision, 3);
	assert_string_equal(got.socket, wrote.socket);
	discovery_remove(home);
	assert_int_equal(discovery_read(home, &got, NULL), 0);
	assert_int_equal(access(pid, F_OK), -1);
}

static void an_old_or_longer_file_is_read_too(void **state)
{
	(void)state;
	AUTO_DISCOVERY got = {0};
	write_json("{\"url\":\"http://[::1]:1\",\"pid\":1,\"new\":{}}", 0600);
	assert_int_equal(discovery_read(home, &got, NULL), 1);
	assert_null(got.token);
	assert_int_equal(got.api_revision, 0);
	assert_string_equal(got.instance_id, "");
}

static void a_damaged_file_is_an_error(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"url\":\"http://127.0.0.1:53817\"}",
		"{\"url\":\"http://127.0.0.1:53817\",\"pid\":0}",
		"{\"url\":\"http://127.0.0.1:53817\",\"pid\":\"1\"}",
		"{\"url\":\"http://127.0.0.1:99999\",\"pid\":1}",
		"{\"url\":\"http://127.0.0.1:1/path\",\"pid\":1}",
		"{\"url\":\"http://127.0.0.1.example.com:1\",\"pid\":1}",
		"{\"url\":\"http://192.0.2.1:1\",\"pid\":1}",
		"{\"url\":7,\"pid\":1}",
		"{\"url\":\"http://127.0.0.1:1\",\"pid\":1,\"token\":\"short\"}",
		"{\"url\":\"http://127.0.0.1:1\",\"pid\":1,\"instance_id\":\"00112233445566778899aabbccddeeff0\"}",
		"{\"url\":\"http://127.0.0.1:1\",\"pid\":1,\"instance_id\":\"a\\u0000b\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_DISCOVERY got = {.pid = 77};
		struct err err = {0};
		write_json(bad[i], 0600);
		if (discovery_read(home, &got, &err) != -1)
			fail_msg("'%s' was read", bad[i]);
		assert_non_null(strstr(err.message, "/daemon.json'"));
		assert_int_equal(got.pid, 77);
	}
}

static void what_others_may_touch_is_not_read(void **state)
{
	(void)state;
	AUTO_DISCOVERY got = {0};
	struct err err = {0};
	write_json(TEXT, 0644);
	assert_int_equal(discovery_read(home, &got, &err), -1);
	assert_non_null(strstr(err.message, "is not a private file of this user (mode 644"));
	AUTO_FREE char *path = state_dir_file(home, "daemon.json");
	AUTO_FREE char *other = state_dir_file(home, "other");
	write_json(TEXT, 0600);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(discovery_read(home, &got, &err), -1);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(discovery_read(home, &got, &err), -1); /* and does not wait for a writer */
}

static int n_asked;
static bool answer(void *context, const struct discovery *found)
{
	n_asked++;
	return strcmp(found->instance_id, context) == 0;
}

static void alive_is_who_holds_the_lock_and_answers(void **state)
{
	(void)state;
	char id[] = "00112233445566778899aabbccddeeff", other[] = "00112233445566778899aabbccddee00";
	AUTO_DISCOVERY wrote = sample();
	AUTO_DISCOVERY got = {0};
	AUTO_LOCK lock = LOCK_INIT;
	AUTO_FREE char *path = state_dir_file(home, "daemon.lock");
	n_asked = 0;
	assert_int_equal(discovery_find(home, answer, id, &got, NULL), 0);
	assert_int_equal(discovery_is_locked(home, NULL), 0);
	assert_int_equal(access(path, F_OK), -1); /* asking makes nothing */
	assert_int_equal(discovery_write(home, &wrote, NULL), 0);
	assert_int_equal(discovery_find(home, answer, id, &got, NULL), 0);
	assert_int_equal(n_asked, 0);
	assert_int_equal(lock_try(&lock, path, LOCK_ALONE, NULL), 1);
	assert_int_equal(discovery_is_locked(home, NULL), 1);
	assert_int_equal(discovery_find(home, answer, other, &got, NULL), 0);
	assert_int_equal(n_asked, 1);
	assert_null(got.token);
	assert_int_equal(discovery_find(home, answer, id, &got, NULL), 1);
	assert_non_null(got.token);
	write_json("{", 0600);
	assert_int_equal(discovery_find(home, answer, id, &got, NULL), 0);
}

static void a_path_of_any_length_can_be_connected_to(void **state)
{
	(void)state;
	char text[512];
	struct err err = {0};
	assert_int_equal(discovery_connect(home, &err), -1);
	assert_int_equal(err.class, ERR_UNREACHABLE);
	memset(text, 'd', sizeof text);
	AUTO_FREE char *deep = xasprintf("%s/%.200s", home, text);
	assert_int_equal(mkdir(deep, 0700), 0);
	assert_int_equal(discovery_connect(deep, &err), -1);
	assert_int_equal(err.class, ERR_UNREACHABLE);
	const char *const folders[] = {home, deep};
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		struct listeners listeners = LISTENERS_INIT;
		assert_int_equal(listener_local_fits(folders[i]), i == 0);
		assert_int_equal(listeners_open(&listeners, folders[i], NULL, NULL), 0);
		AUTO_FD fd = discovery_connect(folders[i], NULL);
		assert_true(fd >= 0);
		AUTO_FD other = accept4(listeners.local, NULL, NULL, SOCK_CLOEXEC);
		assert_true(other >= 0);
		listeners_close(&listeners, folders[i], true);
		assert_int_equal(discovery_connect(folders[i], &err), -1);
	}
}

/* The disk is full after so many bytes: whoever reads sees the old file or the whole new one. */
static void a_write_that_fails_leaves_the_old_file(void **state)
{
	(void)state;
	AUTO_DISCOVERY wrote = sample();
	AUTO_DISCOVERY got = {0};
	struct rlimit before;
	assert_int_equal(discovery_write(home, &wrote, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	wrote.pid = 2;
	int failed = 0;
	for (rlim_t room = 0; room < sizeof TEXT + 16; room++) {
		struct err err = {0};
		const struct rlimit limit = {room, before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		int result = discovery_write(home, &wrote, &err);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		failed += result != 0;
		assert_int_equal(err.class, result != 0 ? ERR_SYSTEM : ERR_NONE);
		assert_int_equal(discovery_read(home, &got, NULL), 1);
		assert_int_equal(got.pid, result != 0 ? 48211 : 2);
		if (result == 0)
			break;
	}
	assert_true(failed > 100 && got.pid == 2);
	signal(SIGXFSZ, SIG_DFL);
}

/* ---- the state folder */

static void the_folder_is_where_the_user_says(void **state)
{
	(void)state;
	struct err err = {0};
	setenv("AILERON_HOME", "/some/where", 1);
	AUTO_FREE char *named = state_dir_path(NULL);
	assert_string_equal(named, "/some/where");
	setenv("AILERON_HOME", "some/where", 1);
	assert_null(state_dir_path(&err));
	assert_int_equal(err.class, ERR_USAGE);
	setenv("AILERON_HOME", "", 1);
	setenv("HOME", "/home/me", 1);
	AUTO_FREE char *usual = state_dir_path(NULL);
	assert_string_equal(usual, "/home/me/.aileron");
	unsetenv("AILERON_HOME");
}

static void its_parts_are_made(void **state)
{
	(void)state;
	AUTO_FREE char *path = state_dir_file(home, "a/b");
	AUTO_FREE char *compiled = state_dir_file(path, "control/compiled");
	AUTO_STATE_DIR dir = STATE_DIR_INIT;
	assert_int_equal(state_dir_open(path, &dir, NULL), 0);
	struct stat info;
	assert_int_equal(fstat(dir.vault, &info), 0);
	assert_int_equal(info.st_mode, S_IFDIR | 0700);
	assert_int_equal(fcntl(dir.control, F_GETFD), FD_CLOEXEC);
	assert_int_equal(stat(compiled, &info), 0);
	assert_int_equal(info.st_mode, S_IFDIR | 0700);
	state_dir_close(&dir);
	state_dir_close(&dir);

	/* A part that leads elsewhere is none. */
	AUTO_FREE char *vault = state_dir_file(path, "vault");
	assert_int_equal(rmdir(vault), 0);
	assert_int_equal(symlink("/tmp", vault), 0);
	assert_int_equal(state_dir_open(path, &dir, NULL), -1);
	assert_int_equal(dir.vault, -1);
}

/* ---- the verdict */

static void a_verdict_arrives(void **state)
{
	(void)state;
	int fds[2];
	static struct err sent, got;
	assert_int_equal(pipe(fds), 0);
	ready_tell(fds[1]);
	assert_int_equal(ready_wait(fds[0], 1000, NULL), 1);
	close(fds[0]);

	assert_int_equal(pipe(fds), 0);
	(fail)(&sent, ERR_UNCONFINED, "it is not confined");
	err_detail(&sent, "why", S("no"));
	ready_tell_failure(fds[1], &sent);
	assert_int_equal(ready_wait(fds[0], 1000, &got), 0);
	assert_int_equal(got.class, ERR_UNCONFINED);
	assert_string_equal(got.message, sent.message);
	assert_string_equal(got.details, sent.details);
	close(fds[0]);
	ready_tell(-1);
	ready_tell_failure(-1, &sent);
}

static void no_verdict_is_one_too(void **state)
{
	(void)state;
	static const char *const nothing[] = {"", "\1", "\1xyz", "\2", "x"};
	int fds[2];
	struct err err = {0};
	for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
		assert_int_equal(pipe(fds), 0);
		assert_int_equal(write(fds[1], nothing[i], strlen(nothing[i])), strlen(nothing[i]));
		close(fds[1]);
		assert_int_equal(ready_wait(fds[0], 1000, &err), -1);
		assert_int_equal(err.class, ERR_UNREACHABLE);
		assert_string_equal(err.message, "the daemon ended before it was ready");
		close(fds[0]);
	}
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(ready_wait(fds[0], 1, &err), -1);
	assert_string_equal(err.message, "the daemon did not become ready within 1 ms");
	close(fds[0]);
	close(fds[1]);
}

#define WITH_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOME(what_is_written_is_read),
		WITH_HOME(an_old_or_longer_file_is_read_too),
		WITH_HOME(a_damaged_file_is_an_error),
		WITH_HOME(what_others_may_touch_is_not_read),
		WITH_HOME(alive_is_who_holds_the_lock_and_answers),
		WITH_HOME(a_write_that_fails_leaves_the_old_file),
		WITH_HOME(a_path_of_any_length_can_be_connected_to),
		cmocka_unit_test(the_folder_is_where_the_user_says),
		WITH_HOME(its_parts_are_made),
		cmocka_unit_test(a_verdict_arrives),
		cmocka_unit_test(no_verdict_is_one_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
