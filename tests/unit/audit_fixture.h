/*
 * audit_fixture: a database in a folder of its own, events with little effort, and a device key that is always the same
 */
#pragma once
#include "audit/audit.h"
#include "crypto/sign.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define FIXTURE_NAME "aileron.db"

static char fixture_folder[] = "/tmp/aileron-audit-XXXXXX";
static struct sign_key *fixture_key;
static unsigned char fixture_public[ED25519_PUBLIC_SIZE];

static inline void fixture_clean(void)
{
	unlink(FIXTURE_NAME);
	unlink(FIXTURE_NAME "-wal");
	unlink(FIXTURE_NAME "-shm");
}

static inline int fixture_enter(void **state)
{
	(void)state;
	AUTO(secret) *seed = secret_new(ED25519_SEED_SIZE, NULL);
	memset(secret_borrow_mut(seed), 7, ED25519_SEED_SIZE);
	fixture_key = sign_key_new(seed, NULL);
	sign_key_public(fixture_key, fixture_public);
	return mkdtemp(fixture_folder) != NULL && chdir(fixture_folder) == 0 ? 0 : -1;
}

static inline int fixture_leave(void **state)
{
	(void)state;
	fixture_clean();
	sign_key_free(fixture_key);
	return chdir("/") == 0 && rmdir(fixture_folder) == 0 ? 0 : -1;
}

static inline int fixture_start(void **state)
{
	static struct err err;
	fixture_clean();
	*state = db_open(&(struct db_options){.name = FIXTURE_NAME}, &err);
	return *state != NULL ? 0 : -1;
}

static inline int fixture_stop(void **state)
{
	db_close(*state);
	return 0;
}

static inline struct str fixture_public_key(void)
{
	return str_of(fixture_public, sizeof fixture_public);
}

static inline int fixture_record(struct db *db, enum audit_type type, const char *payload, char *ret_id,
				 struct err *err)
{
	struct audit_event event = {
		.type = type, .actor = AUDIT_ACTOR_HUMAN, .actor_id = S("user"), .payload_text = str_from(payload)};
	return audit_record(db, &event, ret_id, err);
}

static inline void fixture_fill(struct db *db, int events)
{
	for (int i = 0; i < events; i++) {
		char payload[64];
		snprintf(payload, sizeof payload, "{\"n\":%d}", i);
		assert_int_equal(fixture_record(db, AUDIT_VAULT_UNLOCKED, payload, NULL, NULL), 0);
	}
}

static inline void fixture_sign(const struct audit_head *head, uint64_t count, unsigned char *ret)
{
	unsigned char message[AUDIT_HEAD_MESSAGE];
	audit_head_message(head, count, message);
	sign_message(fixture_key, str_of(message, sizeof message), ret);
}

/* The end of the chain as it is, signed. */
static inline int fixture_checkpoint_job(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	struct audit_head head;
	if (audit_head(tx, &head, err) != 0)
		return -1;
	unsigned char signature[ED25519_SIGNATURE_SIZE];
	fixture_sign(&head, head.seq, signature);
	return audit_checkpoint_store(tx, &head, str_of(signature, sizeof signature), fixture_public_key(), err);
}

static inline int fixture_add_bytes(void *user, struct str bytes, struct err *err)
{
	buf_add_str(user, bytes);
	return buf_check(user, "an export", err);
}

static inline void fixture_export(struct db *db, struct buf *out)
{
	struct audit_head head;
	uint64_t count = 0;
	struct db_tx *tx = db_read(db);
	assert_int_equal(audit_export(tx, fixture_add_bytes, out, &head, &count, NULL), 0);
	db_done(tx);
	unsigned char signature[ED25519_SIGNATURE_SIZE];
	fixture_sign(&head, count, signature);
	audit_head_line(out, &head, count, str_of(signature, sizeof signature), fixture_public_key());
}

static inline struct audit_verdict fixture_verify(struct str bytes, struct str key)
{
	AUTO_FD fd = memfd_create("export", MFD_CLOEXEC);
	assert_int_equal(write(fd, bytes.p, bytes.n), bytes.n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	struct audit_verdict verdict;
	assert_int_equal(audit_verify_file(fd, "export", key, &verdict, NULL), 0);
	return verdict;
}

static inline struct audit_verdict fixture_verify_db(struct db *db, struct str key)
{
	struct audit_verdict verdict;
	struct db_tx *tx = db_read(db);
	assert_int_equal(audit_verify_db(tx, key, &verdict, NULL), 0);
	db_done(tx);
	return verdict;
}
