/*
 * Power fails at a random moment while several record: of what was written since a file's last sync, each 512 bytes are
 * there or not, in any combination. Whatever was acknowledged before that moment must be there afterwards, the database
 * sound and the chain whole, over and over on the same record.
 */
#include "prop/generator.h"
#include "unit/audit_fixture.h"
#include "unit/shim_vfs.h"
#include <fcntl.h>

#define SECTOR     512
#define FILE_MAX   ((size_t)32 << 20)
#define WRITERS    3
#define EVENTS_MAX 120 /* of one writer in one round */

/* One name in the folder, as the disk would have it, and what was done since its last sync. */
struct change {
	bool truncation;
	size_t at, n;
	char *bytes;
};

struct disk_file {
	const char *name;
	struct buf durable;
	bool exists, exists_durably;
	bool is_new; /* a log or journal whose first sync will be the folder's too */
	struct change *changes;
	size_t n, room;
};

struct disk {
	struct shim shim; /* first */
	struct generator g;
	struct disk_file files[3];
	long countdown; /* calls until the power fails */
	bool over;
	char acknowledged[WRITERS * EVENTS_MAX][AUDIT_ID_SIZE]; /* before it did, this round */
	size_t count, survived;
};

static const char *vfs; /* ours over the disk's */
static struct disk disk = {
	.g = {.state = 20260711},
	.files = {{.name = FIXTURE_NAME}, {.name = FIXTURE_NAME "-wal"}, {.name = FIXTURE_NAME "-journal"}},
};

static struct disk_file *file_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(disk.files); i++) {
		if (strcmp(disk.files[i].name, name) == 0)
			return &disk.files[i];
	}
	fail_msg("a file '%s'", name);
	return NULL;
}

static void forget_changes(struct disk_file *file)
{
	for (size_t i = 0; i < file->n; i++)
		free(file->changes[i].bytes);
	file->n = 0;
}

static void put_at(struct buf *content, size_t at, const char *bytes, size_t n)
{
	static const char zeros[4096];
	while (content->n < at)
		buf_add(content, zeros, MIN(sizeof zeros, at - content->n));
	size_t over = MIN(n, content->n - at);
	memcpy(content->p + at, bytes, over);
	buf_add(content, bytes + over, n - over);
	assert_true(buf_ok(content));
}

/* A change as it came to the disk: all of it, or only some of its sectors. */
static void apply(struct buf *content, const struct change *change, bool whole)
{
	if (change->truncation) {
		if (whole || generate_below(&disk.g, 2) == 0)
			buf_truncate(content, change->n);
		return;
	}
	/* Sectors lie on the disk, not in the write. */
	size_t done = 0;
	while (done < change->n) {
		size_t n = MIN(change->n - done, SECTOR - (change->at + done) % SECTOR);
		if (whole || generate_below(&disk.g, 2) == 0)
			put_at(content, change->at + done, change->bytes + done, n);
		done += n;
	}
}

static void note_change(struct disk_file *file, struct change change)
{
	if (file->n == file->room) {
		file->room = file->room == 0 ? 64 : 2 * file->room;
		file->changes = xrealloc(file->changes, file->room * sizeof *file->changes);
	}
	file->changes[file->n++] = change;
}

/* The power fails now. What is on the disk becomes the durable content. */
static void lose_power(void)
{
	disk.over = true;
	for (size_t i = 0; i < ARRAY_LEN(disk.files); i++) {
		struct disk_file *file = &disk.files[i];
		/* Half of the times whole changes come or not, half of the times sectors. */
		bool torn = generate_below(&disk.g, 2) == 0;
		for (size_t k = 0; k < file->n; k++) {
			if (torn || generate_below(&disk.g, 2) == 0)
				apply(&file->durable, &file->changes[k], !torn);
		}
		forget_changes(file);
		/* A name that the folder's sync has not reached may be either way. */
		if (file->exists != file->exists_durably && generate_below(&disk.g, 2) == 0)
			file->exists_durably = file->exists;
		file->exists = file->exists_durably;
		if (!file->exists)
			buf_clear(&file->durable);
	}
}

static int count_down(struct shim *shim, const struct shim_call *call, size_t *part)
{
	(void)shim, (void)part;
	if (!disk.over && call->op != SHIM_READ && call->op != SHIM_MAP && disk.countdown-- == 0)
		lose_power();
	return SQLITE_OK;
}

static void sync_folder(void)
{
	for (size_t i = 0; i < ARRAY_LEN(disk.files); i++) {
		struct disk_file *file = &disk.files[i];
		file->exists_durably = file->exists;
		if (!file->exists)
			buf_clear(&file->durable);
	}
}

static void note_call(struct shim *shim, const struct shim_call *call)
{
	(void)shim;
	if (disk.over || call->op == SHIM_MAP)
		return;
	struct disk_file *file = file_named(call->name);
	switch (call->op) {
	case SHIM_OPEN:
		if (!file->exists && file != &disk.files[0])
			file->is_new = true;
		file->exists = true;
		/* The store syncs the folder itself when it makes the database. */
		if (file == &disk.files[0])
			file->exists_durably = true;
		break;
	case SHIM_WRITE:
		note_change(file, (struct change){.at = call->at,
						  .n = call->n,
						  .bytes = memcpy(xmalloc(call->n), call->bytes, call->n)});
		break;
	case SHIM_TRUNCATE:
		note_change(file, (struct change){.truncation = true, .n = call->n});
		break;
	case SHIM_SYNC:
		for (size_t i = 0; i < file->n; i++)
			apply(&file->durable, &file->changes[i], true);
		forget_changes(file);
		if (file->is_new)
			sync_folder();
		file->is_new = false;
		break;
	case SHIM_DELETE:
		file->exists = false;
		forget_changes(file);
		if (call->durable)
			sync_folder();
		break;
	case SHIM_READ:
	case SHIM_MAP:
	case SHIM_OPS:
		break;
	}
}

/* ------------------------------------------------------------------------------------------------------------ rounds */

static void write_files(void)
{
	fixture_clean();
	unlink(FIXTURE_NAME "-journal");
	for (size_t i = 0; i < ARRAY_LEN(disk.files); i++) {
		struct disk_file *file = &disk.files[i];
		if (!file->exists)
			continue;
		AUTO_FD fd = open(file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		assert_int_equal(write(fd, file->durable.p, file->durable.n), file->durable.n);
	}
}

struct recorder {
	struct db *db;
	int events;
};

static void *record_events(void *context)
{
	struct recorder *self = context;
	for (int i = 0; i < self->events; i++) {
		struct audit_event event = {.type = AUDIT_EXECUTION_STARTED,
					    .payload_text = S("{\"a\":\"bcdefghijkl\"}")};
		char id[AUDIT_ID_SIZE];
		if (audit_record(self->db, &event, id, NULL) != 0)
			BUG("the disk is not what fails here");
		pthread_mutex_lock(&disk.shim.lock);
		bool over = disk.over;
		if (!over)
			memcpy(disk.acknowledged[disk.count++], id, sizeof id);
		pthread_mutex_unlock(&disk.shim.lock);
		if (over)
			break;
	}
	return NULL;
}

static int often_into_file(struct db_tx *tx, void *user, struct err *err)
{
	(void)err;
	sqlite3_wal_autocheckpoint(tx->handle, *(int *)user);
	return 0;
}

static void record_until_power_fails(void)
{
	static struct err err;
	struct db *db = db_open(&(struct db_options){.name = FIXTURE_NAME, .vfs = vfs, .readers = 1}, &err);
	if (db == NULL)
		fail_msg("%s", err.message);
	int pages = (int)generate_below(&disk.g, 60) + 2;
	assert_int_equal(db_write(db, often_into_file, &pages, NULL), 0);
	struct recorder recorder = {db, (int)generate_below(&disk.g, EVENTS_MAX)};
	pthread_t threads[WRITERS];
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, record_events, &recorder), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	db_close(db);
	/* When it has not failed yet it fails now. */
	if (!disk.over)
		lose_power();
}

static void check_what_is_left(int round)
{
	static struct err err;
	write_files();
	AUTO(db) *db = db_open(&(struct db_options){.name = FIXTURE_NAME}, &err);
	if (db == NULL)
		fail_msg("round %d: %s", round, err.message);
	if (db_check(db, &err) != 0)
		fail_msg("round %d: %s", round, err.message);
	struct audit_verdict verdict = fixture_verify_db(db, STR_EMPTY);
	if (!verdict.intact)
		fail_msg("round %d: %s", round, verdict.why);
	struct db_tx *tx = db_read(db);
	for (size_t i = 0; i < disk.count; i++) {
		AUTO_BUF text = BUF_INIT(AUDIT_TEXT_MAX);
		if (audit_get(tx, str_from(disk.acknowledged[i]), &text, &err) != 1)
			fail_msg("round %d: acknowledged event %zu of %zu is lost", round, i, disk.count);
	}
	db_done(tx);
	/* None of the rounds before lost anything either. */
	assert_true(verdict.events >= disk.survived + disk.count);
	disk.survived = verdict.events;
}

static void nothing_acknowledged_is_lost_with_the_power(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(disk.files); i++)
		buf_init(&disk.files[i].durable, FILE_MAX);
	size_t acknowledged = 0, before_all = 0;
	for (int round = 0; round < 150; round++) {
		/* Small numbers fail while the database is made or opened. */
		disk.countdown = (long)generate_below(&disk.g, round % 3 == 0 ? 30 : 3000);
		disk.over = false;
		disk.count = 0;
		write_files();
		record_until_power_fails();
		check_what_is_left(round);
		acknowledged += disk.count;
		before_all += disk.count < WRITERS;
		/* Start anew now and then: an empty folder has moments of its own. */
		if (round % 25 == 24) {
			for (size_t i = 0; i < ARRAY_LEN(disk.files); i++) {
				disk.files[i].exists = disk.files[i].exists_durably = false;
				buf_clear(&disk.files[i].durable);
			}
			disk.survived = 0;
		}
	}
	/* The rounds are not all of one kind. */
	assert_in_range(acknowledged, 2000, WRITERS * EVENTS_MAX * 150);
	assert_in_range(before_all, 10, 100);
	for (size_t i = 0; i < ARRAY_LEN(disk.files); i++) {
		buf_release(&disk.files[i].durable);
		free(disk.files[i].changes);
	}
}

int main(void)
{
	disk.shim.before = count_down;
	disk.shim.after = note_call;
	vfs = shim_register(&disk.shim);
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost_with_the_power)};
	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
