/*
 * After a full round of use and a lock, no secret is left in the keeper's memory: not on the heap, not on the stack, not in
 * buffers of channels. The test is the keeper's process, so it has its own secrets masked and looks through every page that
 * can be written.
 */
#include "base/hex.h"
#include "base/log.h"
#include "base/rand.h"
#include "confine/sanitized.h"
#include "crypto/held_key.h"
#include "keeper_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "skips.h"

#define HOST        "api.example.com:443"
#define SECRET_SIZE 40
#define WINDOW      12 /* of a secret that counts as found: what was freed is partly written over */

enum which { PASSPHRASE, NEW_PASSPHRASE, VALUE, ACCESS, REFRESH, ACCESS_2, REFRESH_2, VERIFIER, DEVICE, ALL };
static const char *const names[] = {"passphrase", "new passphrase",    "value",    "access token", "refresh token",
				    "new access", "new refresh token", "verifier", "device code"};

/* Letters and digits, each with the mask over it. */
static unsigned char masked[ALL][SECRET_SIZE];
static volatile unsigned char mask = 0x5a;

static void make_secrets(void)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	for (size_t i = 0; i < ALL; i++) {
		for (size_t k = 0; k < SECRET_SIZE; k++)
			masked[i][k] = (unsigned char)letters[rand_below(sizeof letters - 1)] ^ mask;
	}
}

/* In the clear, in memory that is wiped. */
static struct secret *reveal(enum which which)
{
	struct secret *secret = secret_new(SECRET_SIZE + (which == VERIFIER ? 3 : 0), NULL);
	assert_non_null(secret);
	char *to = secret_borrow_mut(secret);
	memset(to, '-', secret_size(secret));
	for (size_t k = 0; k < SECRET_SIZE; k++)
		to[k] = (char)(masked[which][k] ^ mask);
	return secret;
}

static bool is_here(const volatile unsigned char *at, const unsigned char *needle)
{
	for (size_t i = 0; i < WINDOW; i++) {
		if ((at[i] ^ mask) != needle[i])
			return false;
	}
	return true;
}

static size_t search(const volatile unsigned char *from, size_t n, enum which which, char *ret_where,
		     const char *mapping)
{
	size_t found = 0;
	for (size_t i = 0; i + WINDOW <= n; i++) {
		for (size_t window = 0; window + WINDOW <= SECRET_SIZE; window += WINDOW) {
			if ((from[i] ^ mask) != masked[which][window] || !is_here(from + i, masked[which] + window))
				continue;
			found++;
			snprintf(ret_where, 256, "part %zu of the %s in %.180s", window / WINDOW, names[which],
				 mapping);
		}
	}
	return found;
}

static unsigned char *address_of(struct str digits)
{
	uintptr_t address = 0;
	for (size_t i = 0; i < digits.n; i++)
		address = address << 4 | (uintptr_t)hex_digit(digits.p[i]);
	return (unsigned char *)address;
}

/* How often it is in this process, in any page that can be written. */
static size_t count(enum which which, char ret_where[256])
{
	size_t found = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	assert_non_null(maps);
	while (fgets(line, sizeof line, maps) != NULL) {
		unsigned char *first, *end;
		struct str text = str_from(line), span, perms;
		text = str_cut(text, ' ', &span);
		str_cut(text, ' ', &perms);
		if (!str_starts(perms, S("rw")))
			continue;
		span = str_cut(span, '-', &perms);
		first = address_of(perms);
		end = address_of(span);
		found += search(first, (size_t)(end - first), which, ret_where, line);
	}
	fclose(maps);
	return found;
}

static void assert_gone(enum which first, enum which last)
{
	for (enum which i = first; i <= last; i++) {
		char where[256];
		size_t n = count(i, where);
		if (n > 0)
			fail_msg("%zu times, %s", n, where);
	}
}

static void use_passphrase(struct rig *rig, enum keeper_operation operation, enum which which)
{
	AUTO(secret) *passphrase = reveal(which);
	const struct sealed_field field = {SEALED_PASSPHRASE, secret_borrow(passphrase)};
	assert_int_equal(rig_sealed(rig, (struct keeper_sealed){.operation = operation}, &field, 1, NULL), 0);
}

static void change_passphrase(struct rig *rig)
{
	AUTO(secret) *old = reveal(PASSPHRASE), *new = reveal(NEW_PASSPHRASE);
	const struct sealed_field fields[] = {{SEALED_PASSPHRASE, secret_borrow(old)},
					      {SEALED_NEW_PASSPHRASE, secret_borrow(new)}};
	struct keeper_sealed passwd = {.operation = KEEPER_OP_PASSWD}, export = {.operation = KEEPER_OP_EXPORT};
	assert_int_equal(rig_sealed(rig, passwd, fields, 2, NULL), 0);
	const struct sealed_field out[] = {{SEALED_PASSPHRASE, secret_borrow(new)},
					   {SEALED_NEW_PASSPHRASE, secret_borrow(old)}};
	struct str body = STR_EMPTY;
	assert_int_equal(rig_sealed(rig, export, out, 2, &body), 0);
	struct wire_reader r = wire_reader(body);
	(void)wire_str(&r); /* the member, the kind, the number of entries */
	(void)wire_str(&r);
	(void)wire_u32(&r);
	struct keeper_sealed import = {.operation = KEEPER_OP_IMPORT, .blob = wire_str(&r)};
	assert_int_equal(rig_sealed(rig, import, fields, 1, NULL), 0);
}

static void put_value(struct rig *rig, const struct rig_binding *binding, enum which which)
{
	AUTO(secret) *value = reveal(which);
	const struct sealed_field fields[] = {{SEALED_VALUE, secret_borrow(value)},
					      {SEALED_CONSENT, rig_consent(rig, binding)}};
	struct keeper_sealed m = {
		.operation = KEEPER_OP_PUT, .path = str_from(binding->path), .metadata = rig_metadata(rig, binding)};
	assert_int_equal(rig_sealed(rig, m, fields, 2, NULL), 0);
}

/* Claims, and looks at what comes without keeping it. */
static void claim(struct rig *rig, uint64_t use, const struct rig_binding *binding, enum which which)
{
	assert_int_equal(rig_permit(rig, use, binding->path, binding->kind, HOST), 0);
	rig_claim(rig, 1000, use, HOST);
	uint32_t id = 0;
	bool ok = false;
	struct str rest = STR_EMPTY;
	assert_int_equal(rig_hear_egress(rig, &id, &ok, &rest), KEEPER_RELEASED);
	assert_true(ok && rest.n > SECRET_SIZE);
	assert_true(is_here((const unsigned char *)rest.p + rest.n - SECRET_SIZE, masked[which]));
}

static void tell_tokens(struct rig *rig, enum keeper_message type, uint64_t ticket, enum which access,
			enum which refresh)
{
	AUTO(secret) *access_token = reveal(access), *refresh_token = reveal(refresh);
	AUTO_BUF body = BUF_INIT_SECRET(65536);
	if (type == KEEPER_TOKENS)
		wire_put_u64(&body, ticket);
	keeper_tokens_put(&body, &(struct keeper_tokens){.access_token = secret_borrow(access_token),
							 .refresh_token = secret_borrow(refresh_token),
							 .expires_in = 100});
	rig_tell(rig, type, 7, &body);
}

static void make_ticket(struct rig *rig, const struct rig_binding *binding, uint64_t number, enum which proof)
{
	AUTO(secret) *secret = reveal(proof);
	const struct sealed_field fields[] = {
		{proof == VERIFIER ? SEALED_VERIFIER : SEALED_PASSPHRASE, secret_borrow(secret)},
		{SEALED_CONSENT, rig_consent(rig, binding)}};
	struct keeper_sealed m = {.operation = KEEPER_OP_OAUTH,
				  .flags = binding->flags,
				  .path = str_from(binding->path),
				  .metadata = rig_metadata(rig, binding),
				  .ticket = number};
	assert_int_equal(rig_sealed(rig, m, fields, 2, NULL), 0);
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, number);
	rig_tell(rig, KEEPER_EXCHANGE, 6, &body);
}

static void hear_ok(struct rig *rig, enum keeper_message type)
{
	uint32_t id = 0;
	bool ok = false;
	struct str rest = STR_EMPTY;
	assert_int_equal(rig_hear_egress(rig, &id, &ok, &rest), type);
	if (!ok)
		fail_msg("%s", rig->err.message);
}

/* A code flow, a use of its token, a refresh, another use; a device flow. */
static void use_oauth(struct rig *rig)
{
	struct rig_binding binding = {.path = "oauth2/svc/work",
				      .kind = "oauth2",
				      .hosts = {HOST},
				      .token_url = "https://auth.example.com/token",
				      .device_url = "https://auth.example.com/device",
				      .flags = KEEPER_FLAG_CREATE};
	make_ticket(rig, &binding, 1, VERIFIER);
	hear_ok(rig, KEEPER_TICKET);
	tell_tokens(rig, KEEPER_TOKENS, 1, ACCESS, REFRESH);
	hear_ok(rig, KEEPER_STORED);
	claim(rig, 11, &binding, ACCESS);
	rig_pass(rig, 50 * TIME_SECOND);
	assert_int_equal(rig_permit(rig, 12, binding.path, "oauth2", HOST), 0);
	rig_claim(rig, 7, 12, HOST);
	hear_ok(rig, KEEPER_REFRESH);
	tell_tokens(rig, KEEPER_REFRESHED, 0, ACCESS_2, REFRESH_2);
	hear_ok(rig, KEEPER_RELEASED);

	binding.path = "oauth2/svc/device";
	binding.flags |= KEEPER_FLAG_DEVICE;
	make_ticket(rig, &binding, 2, NEW_PASSPHRASE);
	hear_ok(rig, KEEPER_TICKET);
	AUTO(secret) *device = reveal(DEVICE);
	AUTO_BUF body = BUF_INIT_SECRET(1024);
	wire_put_u64(&body, 2);
	wire_put_str(&body, secret_borrow(device));
	rig_tell(rig, KEEPER_DEVICE_CODE, 8, &body);
	hear_ok(rig, KEEPER_STORED);
}

static void sign(struct rig *rig, uint64_t use, const struct rig_binding *binding)
{
	assert_int_equal(rig_permit(rig, use, binding->path, binding->kind, HOST), 0);
	AUTO_BUF body = BUF_INIT(1024);
	wire_put_u64(&body, use);
	keeper_target_put(&body, &(struct keeper_target){.host = S(HOST)});
	if (strcmp(binding->kind, "aws_sigv4") == 0) {
		wire_put_str(&body, S("20260101"));
		wire_put_str(&body, S("us-east-1"));
		wire_put_str(&body, S("s3"));
		wire_put_str(&body, S("AWS4-HMAC-SHA256\n20260101T000000Z\n20260101/us-east-1/s3/aws4_request\n00"));
		rig_tell(rig, KEEPER_SIGN_SIGV4, 9, &body);
	} else {
		wire_put_u8(&body, SIGNING_HMAC_SHA256);
		wire_put_str(&body, S("message"));
		rig_tell(rig, KEEPER_SIGN_BYTES, 9, &body);
	}
	hear_ok(rig, KEEPER_SIGNED);
	rig_end_use(rig, use);
}

static void use_everything(struct rig *rig)
{
	const struct rig_binding key = {.path = "api_key/svc/work", .kind = "api_key", .hosts = {HOST}};
	use_passphrase(rig, KEEPER_OP_INIT, PASSPHRASE);
	put_value(rig, &key, VALUE);
	claim(rig, 1, &key, VALUE);
	rig_attach_egress(rig); /* what is borrowed from it is wiped with it */
	change_passphrase(rig);
	use_oauth(rig);
	const struct rig_binding aws = {.path = "aws_sigv4/svc/work", .kind = "aws_sigv4", .hosts = {HOST}};
	put_value(rig, &aws, VALUE);
	sign(rig, 20, &aws);
	const struct rig_binding signing = {.path = "signing_key/svc/work", .kind = "signing_key", .hosts = {HOST}};
	put_value(rig, &signing, VALUE);
	sign(rig, 21, &signing);
	keeper_lock(rig->keeper, "locked");
	use_passphrase(rig, KEEPER_OP_UNLOCK, NEW_PASSPHRASE);
	claim(rig, 30, &key, VALUE);
	rig_attach_egress(rig);
}

static void nothing_is_left_after_a_lock(void **state)
{
	(void)state;
	if (CONFINE_SANITIZED)
		skip_because("sanitizers keep copies of what was read and freed");
	static struct rig rig;
	make_secrets();
	assert_gone(PASSPHRASE, DEVICE);
	{
		/* The positive control: what is there is found. */
		AUTO(secret) *here = reveal(VALUE);
		char where[256];
		assert_int_equal(count(VALUE, where), SECRET_SIZE / WINDOW);
		assert_int_equal(secret_size(here), SECRET_SIZE);
	}
	rig_start(&rig);
	use_everything(&rig);
	/* Even open it holds keys alone: no value, no token, no passphrase. */
	assert_gone(PASSPHRASE, VERIFIER);
	keeper_lock(rig.keeper, "locked");
	rig_hear(&rig);
	assert_gone(PASSPHRASE, DEVICE);
	rig_stop(&rig);
	assert_gone(PASSPHRASE, DEVICE);
}

int main(void)
{
	log_set_level(LOG_LEVEL_NONE);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_left_after_a_lock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
