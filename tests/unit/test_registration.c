/*
 * A person's file that goes with our entry, while another program gives its name to a file of its own.
 */
#include "cli/registration.h"
#include "os/file.h"
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define OURS   "{\"mcpServers\":{}}"
#define THEIRS "{\"theme\":\"dark\"}"
#define RACES  2000

static char folder[] = "/tmp/aileron-registration-XXXXXX";
static char path[64], theirs[64];
static struct err err;

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/settings.json", folder);
	snprintf(theirs, sizeof theirs, "%s/theirs", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void write_text(const char *name, const char *text)
{
	assert_int_equal(file_publish(name, str_from(text), 0600, &err), 0);
}

/* It is there with that text, and nothing else is. NULL: nothing at all. */
static void assert_alone(const char *text)
{
	size_t n = 0;
	DIR *entries = opendir(folder);
	for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
		n += entry->d_name[0] != '.' || file_is_draft(entry->d_name);
	closedir(entries);
	assert_int_equal(n, text != NULL);
	AUTO_BUF now = BUF_INIT(1024);
	if (text == NULL)
		return;
	assert_int_equal(file_read(path, &now, &err), 0);
	assert_true(str_eq(buf_str(&now), str_from(text)));
}

static int remove_as_read(const char *text)
{
	AUTO_PERSON_FILE file = {.path = str_from(path), .text = BUF_INIT(1024), .exists = true};
	buf_add_z(&file.text, text);
	err_clear(&err);
	return person_file_remove(&file, &err);
}

static void what_is_as_it_was_read_goes(void **state)
{
	(void)state;
	write_text(path, OURS);
	assert_int_equal(remove_as_read(OURS), 0);
	assert_alone(NULL);
	assert_int_equal(remove_as_read(OURS), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_alone(NULL);
}

static void what_was_changed_stays(void **state)
{
	(void)state;
	write_text(path, THEIRS);
	assert_int_equal(remove_as_read(OURS), -1);
	assert_int_equal(err.class, ERR_CONFLICT);
	assert_alone(THEIRS);
}

static void *give_name(void *user)
{
	pthread_barrier_wait(user);
	return rename(theirs, path) == 0 ? user : NULL;
}

static void what_gets_the_name_at_that_moment_stays(void **state)
{
	(void)state;
	for (int i = 0; i < RACES; i++) {
		pthread_t other;
		pthread_barrier_t start;
		void *renamed = NULL;
		write_text(path, OURS);
		write_text(theirs, THEIRS);
		pthread_barrier_init(&start, NULL, 2);
		assert_int_equal(pthread_create(&other, NULL, give_name, &start), 0);
		pthread_barrier_wait(&start);
		int rc = remove_as_read(OURS);
		pthread_join(other, &renamed);
		pthread_barrier_destroy(&start);
		assert_non_null(renamed);
		assert_true(rc == 0 || err.class == ERR_CONFLICT);
		assert_alone(THEIRS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_as_it_was_read_goes),
		cmocka_unit_test(what_was_changed_stays),
		cmocka_unit_test(what_gets_the_name_at_that_moment_stays),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
