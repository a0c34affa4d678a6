#include "control/event.h"
#include "base/limits.h"
#include "store/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static char folder[64];
static struct db *db;

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test-event-XXXXXX");
	if (mkdtemp(folder) == NULL || chdir(folder) != 0)
		return -1;
	db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	return db == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	(void)unlink("aileron.db");
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

static int see(void *user, uint64_t seq, struct str text)
{
	(void)seq;
	struct buf *all = user;
	buf_add_str(all, text);
	buf_add_char(all, '\n');
	return 0;
}

/* Every text of the record. */
static void read_all(struct buf *out)
{
	const struct audit_query query = {.limit = 100};
	struct db_tx *tx = db_read(db);
	assert_int_equal(audit_list(tx, &query, see, out, NULL), 0);
	db_done(tx);
}

static int append_job(struct db_tx *tx, void *user, struct err *err)
{
	return event_append(tx, user, err);
}

/* A consent of the longest that a vault keeps, each host of which takes as much as it can. */
static void the_longest_consent_fits(void **state)
{
	(void)state;
	static struct str hosts[4096];
	static char host[] = "\"\\\"\\\"\\\"\\\"\\\"\\\"";
	size_t n = 0;
	for (size_t bytes = 0; bytes < 32 * KIB && n < ARRAY_LEN(hosts); bytes += 2 * (sizeof host - 1) + 3)
		hosts[n++] = str_of(host, sizeof host - 1);
	AUTO_EVENT event;
	event_begin(&event, audit_of_service(AUDIT_BINDING_REVOKED, "control"));
	member_list(&event.json, "aileron.binding.hosts", hosts, n);
	struct err err = {0};
	assert_int_equal(event_end(&event, &err), 0);
	if (db_write(db, append_job, &event, &err) != 0)
		fail_msg("%s", err.message);
	AUTO_BUF all = BUF_INIT(1 * MIB);
	read_all(&all);
	assert_non_null(strstr(all.p, "binding.revoked"));
}

static void one_that_is_too_long_is_known_before_anything_is_done(void **state)
{
	(void)state;
	static char text[EVENT_PAYLOAD_MAX];
	memset(text, 'x', sizeof text);
	AUTO_EVENT event;
	event_begin(&event, audit_of_service(AUDIT_BINDING_REVOKED, "control"));
	member_str(&event.json, "aileron.reason", str_of(text, sizeof text));
	struct err err = {0};
	assert_int_equal(event_end(&event, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
}

static void what_is_written_later_owns_its_words(void **state)
{
	(void)state;
	char name[] = "local/one";
	AUTO_EVENT event;
	event_begin(&event, (struct audit_event){.type = AUDIT_CONNECTOR_EVENT,
						 .actor = AUDIT_ACTOR_CONNECTOR_RUNTIME,
						 .actor_id = str_from(name),
						 .credential_binding = str_from(name)});
	member_z(&event.json, "aileron.reason", name);
	event_later(db, &event);
	memset(name, 'X', sizeof name - 1);
	/* A job behind it, so that it is written. */
	AUTO_EVENT next;
	event_begin(&next, audit_of_service(AUDIT_DAEMON_STOPPED, "daemon"));
	assert_int_equal(event_end(&next, NULL), 0);
	assert_int_equal(db_write(db, append_job, &next, NULL), 0);
	AUTO_BUF all = BUF_INIT(1 * MIB);
	read_all(&all);
	assert_null(strstr(all.p, "XXXX"));
	assert_non_null(strstr(all.p, "\"aileron.reason\":\"local/one\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_longest_consent_fits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_is_too_long_is_known_before_anything_is_done, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_written_later_owns_its_words, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
