#include "base/mem.h"
#include "egress/scrub.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "prop/generator.h"

static struct err err;

static struct scrubber *scrubber_for(const struct secret *secret)
{
	struct scrubber *scrubber = scrubber_new(&err);
	assert_non_null(scrubber);
	assert_int_equal(scrub_add(scrubber, secret, &err), 0);
	return scrubber;
}

static void assert_scrubs(struct str secret_text, const char *body, const char *expected)
{
	AUTO(secret) *secret = secret_from(secret_text, &err);
	AUTO(scrubber) *scrubber = scrubber_for(secret);
	AUTO_FREE char *text = xstrdup(body);
	size_t n = 0, found = 0;
	assert_int_equal(scrub_text(scrubber, text, strlen(text), &n, &found, &err), 0);
	text[n] = '\0';
	if (strcmp(text, expected) != 0)
		fail_msg("'%s' became '%s', not '%s'", body, text, expected);
	assert_int_equal(found > 0, strcmp(body, expected) != 0);
}

#define TOKEN "tok_4f9A/z+Q~\"x\\y7-Kd"

static void strikes_out_each_form(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		/* raw */
		{"tok_4f9A/z+Q~\"x\\y7-Kd", "[secret removed]"},
		{"a tok_4f9A/z+Q~\"x\\y7-Kd b", "a [secret removed] b"},
		{"tok_4f9A/z+Q~\"x\\y7-Kdtok_4f9A/z+Q~\"x\\y7-Kd", "[secret removed]"},
		{"tok_4f9A/z+Q~\"x\\y7-Kd,tok_4f9A/z+Q~\"x\\y7-Kd", "[secret removed],[secret removed]"},
		{"tok_4f9A/z+Q~\"x\\y7-K", "tok_4f9A/z+Q~\"x\\y7-K"},
		{"TOK_4f9A/z+Q~\"x\\y7-Kd", "TOK_4f9A/z+Q~\"x\\y7-Kd"},
		/* base64 of the token, of "u:" and the token, of "me:", the token and "!" */
		{"dG9rXzRmOUEveitRfiJ4XHk3LUtk", "[secret removed]"},
		{"Basic dTp0b2tfNGY5QS96K1F+InhceTctS2Q=.", "Basic dT[secret removed]=."},
		{"Basic dTp0b2tfNGY5QS96K1F-InhceTctS2Q.", "Basic dT[secret removed]."},
		{"bWU6dG9rXzRmOUEveitRfiJ4XHk3LUtkIQ==", "bWU6[secret removed]IQ=="},
		{"YnVzOnRva180ZjlBL3orUX4ieFx5Ny1LZCE", "YnVzO[secret removed]E"},
		{"YnVzOnRva180ZjlBL3orUX4ieFx5Ny1LZCE=", "YnVzO[secret removed]E="},
		{"dG9rXzRmOUEv\r\neitRfiJ4XHk3\r\nLUtk", "[secret removed]"},
		{"dG9rXzRmOUEv\\neitRfiJ4XHk3\\nLUtk", "[secret removed]"},
		{"dTp0b2tfNGY5QS96K1F%2bInhceTctS2Q%3D", "dT[secret removed]%3D"},
		{"dTp0b2tfNGY5QS96K1F InhceTctS2Q%3D", "dT[secret removed]%3D"},
		/* hex */
		{"746f6b5f346639412f7a2b517e22785c79372d4b64", "[secret removed]"},
		{"746F6B5F346639412F7A2B517E22785C79372D4B64", "[secret removed]"},
		{"x746F6b5f346639412f7A2b517e22785C79372d4b640", "x[secret removed]0"},
		/* URL */
		{"a=tok_4f9A%2Fz%2BQ~%22x%5Cy7-Kd&b", "a=[secret removed]&b"},
		{"a=%74%6f%6B%5f%34f9A/z+Q~%22x%5cy7-Kd&b", "a=[secret removed]&b"},
		{"a=tok_4f9A%2Fz Q~%22x%5Cy7-Kd&b", "a=[secret removed]&b"},
		/* JSON */
		{"{\"a\":\"tok_4f9A/z+Q~\\\"x\\\\y7-Kd\"}", "{\"a\":\"[secret removed]\"}"},
		{"{\"a\":\"tok_4f9A\\/z\\u002BQ~\\u0022x\\u005cy7-Kd\"}", "{\"a\":\"[secret removed]\"}"},
		{"\\u0074\\u006f\\u006B_4f9A/z+Q~\\\"x\\\\y7-K\\u0064", "[secret removed]"},
		{"\\u0074\\u006f\\u006B_4f9A/z+Q~\\\"x\\\\y7-K\\u0065",
		 "\\u0074\\u006f\\u006B_4f9A/z+Q~\\\"x\\\\y7-K\\u0065"},
		/* one inside the other */
		{"{\\\"a\\\":\\\"tok_4f9A/z+Q~\\\\\\\"x\\\\\\\\y7-Kd\\\"}", "{\\\"a\\\":\\\"[secret removed]\\\"}"},
		{"tok_4f9A%252Fz%252BQ~%2522x%255Cy7-Kd", "[secret removed]"},
		{"tok_4f9A\\u00252Fz%2BQ~%22x%5Cy7-Kd", "[secret removed]"},
		{"tok_4f9A%5C%2Fz+Q~%5C%22x%5C%5Cy7-Kd", "[secret removed]"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_scrubs(S(TOKEN), rows[i][0], rows[i][1]);
}

static void undoes_every_json_escape(void **state)
{
	(void)state;
	assert_scrubs(S("a\b\f\n\r\t\"\\/z"), "\\u0061\\b\\f\\n\\r\\t\\\"\\\\\\/z", "[secret removed]");
	/* U+00E9, U+20AC, U+1F511: two, three and four bytes, the last as a pair. */
	assert_scrubs(S("\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91 key"), "[\\u00e9\\u20AC\\uD83d\\udd11 key]",
		      "[[secret removed]]");
	assert_scrubs(S("\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91 key"), "[\xc3\xa9\\u20AC\xf0\x9f\x94\x91+key]",
		      "[[secret removed]]");
	assert_scrubs(S("\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91 key"), "\\ud83d\\u00e9 \\ud83d \\u12 \\x \\",
		      "\\ud83d\\u00e9 \\ud83d \\u12 \\x \\");
	/* A service that took the header for Latin-1. */
	assert_scrubs(S("caf\xc3\xa9"), "caf\xc3\x83\xc2\xa9", "****");
	assert_scrubs(S("caf\xc3\xa9"), "caf\\u00c3\\u00a9", "[removed]");
	assert_scrubs(S("caf\xe9 au lait"), "caf\xc3\xa9 au lait", "[removed]");
}

/* A guest's byte in front makes an escape of the secret's first characters, and the rest would not match. */
static void an_escape_in_front_does_not_hide_it(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{"2Bc-4f9A/z+Q~xy7-Kd", "%2Bc%2D4f9A%2Fz%2BQ~xy7-Kd", "%2B[secret removed]"},
		{"n4f9A/z+Q\"xy7-Kd", "\\n4f9A/z+Q\\\"xy7-Kd", "\\n[secret removed]"},
		{"u00414f9A/z\"Qxy7-Kd.k", "\\u00414f9A/z\\\"Qxy7-Kd.k", "\\u0041[secret removed]"},
		{"2Bc-4f9A/", "%2Bc%2D4f9A%2F", "%2B[removed]"},
		/* Without escapes the whole decides. */
		{"2Bc-4f9A/z+Q~xy7-Kd", "xxc-4f9A/z+Q~xy7-Kd", "xxc-4f9A/z+Q~xy7-Kd"},
		{"2Bc-4f", "%2Bc%2D4f", "%2Bc%2D4f"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_scrubs(str_from(rows[i][0]), rows[i][1], rows[i][2]);
}

static void escapes_in_the_secret_itself_are_its_own(void **state)
{
	(void)state;
	assert_scrubs(S("ab%41cd"), "x ab%41cd y", "x **** y");
	assert_scrubs(S("ab%41cd"), "ab%2541cd", "[removed]");
	assert_scrubs(S("ab%41cd"), "ab\\u002541cd", "[removed]");
	assert_scrubs(S("ab%41cd"), "abAcd", "abAcd");
	assert_scrubs(S("ab\\u0041\"cd"), "ab\\\\u0041\\\"cd", "[removed]");
	assert_scrubs(S("ab\\u0041\"cd"), "ab\\u0041\"cd", "[removed]");
}

static void marks_never_grow_a_body(void **state)
{
	(void)state;
	assert_scrubs(S("1234"), "1234", "****");
	assert_scrubs(S("1234"), "1234,1234,12345", "****,****,****5");
	assert_scrubs(S("123456789"), "123456789", "[removed]");
	assert_scrubs(S("12345678"), "12345678", "****");
	assert_scrubs(S("123456789012345"), "123456789012345", "[removed]");
	assert_scrubs(S("1234567890123456"), "1234567890123456", "[secret removed]");
}

static void short_secrets_are_left_to_their_header(void **state)
{
	(void)state;
	assert_scrubs(S("abc"), "abc abc", "abc abc");
	assert_scrubs(STR_EMPTY, "abc abc", "abc abc");
	AUTO(secret) *shorty = secret_from(S("abc"), &err);
	AUTO(secret) *header = secret_from(S("Bearer abc"), &err);
	AUTO(scrubber) *scrubber = scrubber_for(shorty);
	assert_int_equal(scrub_add(scrubber, header, &err), 0);
	char text[] = "abc {\"Authorization\":\"Bearer abc\"}";
	size_t n, found;
	assert_int_equal(scrub_text(scrubber, text, strlen(text), &n, &found, &err), 0);
	assert_true(str_eq(str_of(text, n), S("abc {\"Authorization\":\"[removed]\"}")));
	assert_int_equal(found, 1);
}

static void several_secrets_at_once(void **state)
{
	(void)state;
	AUTO(scrubber) *scrubber = scrubber_new(&err);
	struct secret *secrets[SCRUB_SECRETS];
	for (size_t i = 0; i < SCRUB_SECRETS; i++) {
		AUTO_FREE char *text = xasprintf("secret number %zu", i);
		secrets[i] = secret_from(str_from(text), &err);
		assert_int_equal(scrub_add(scrubber, secrets[i], &err), 0);
	}
	AUTO(secret) *more = secret_from(S("one too many"), &err);
	assert_int_equal(scrub_add(scrubber, more, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	char text[] = "secret number 0, secret%20number%207, secret number 8, 736563726574206e756d6265722033";
	size_t n, found;
	assert_int_equal(scrub_text(scrubber, text, strlen(text), &n, &found, &err), 0);
	assert_true(str_eq(str_of(text, n), S("[removed], [secret removed], secret number 8, [secret removed]")));
	assert_int_equal(found, 3);
	for (size_t i = 0; i < SCRUB_SECRETS; i++)
		secret_free(secrets[i]);
}

/* Of a long secret the end decides, so that another one with the same beginning is left alone. */
static void long_secrets(void **state)
{
	(void)state;
	enum { LONG = 2000 };
	struct generator g = {1};
	AUTO_FREE char *text = xmalloc(LONG + 1);
	for (size_t i = 0; i < LONG; i++)
		text[i] = (char)('a' + generate_below(&g, 26));
	text[LONG] = '\0';
	AUTO_FREE char *body = xasprintf("<%s>", text);
	assert_scrubs(str_of(text, LONG), body, "<[secret removed]>");
	AUTO_FREE char *other = xasprintf("<%s>", text);
	other[LONG] = '!';
	assert_scrubs(str_of(text, LONG), other, other);
	AUTO_FREE char *end = xasprintf("<%s>", text + LONG - 100);
	assert_scrubs(str_of(text, LONG), end, "<[secret removed]>");
	AUTO(secret) *whole = secret_new(SECRET_MAX, &err);
	memset(secret_borrow_mut(whole), 'x', SECRET_MAX);
	AUTO(scrubber) *scrubber = scrubber_for(whole);
	AUTO_FREE char *large = xmalloc(2 * SECRET_MAX);
	for (size_t i = 0; i < SECRET_MAX; i++) {
		large[2 * i] = '7';
		large[2 * i + 1] = '8';
	}
	size_t n, found;
	assert_int_equal(scrub_text(scrubber, large, 2 * SECRET_MAX, &n, &found, &err), 0);
	assert_true(str_eq(str_of(large, n), S("[secret removed]")));
}

static void a_scrubber_without_secrets_changes_nothing(void **state)
{
	(void)state;
	AUTO(scrubber) *scrubber = scrubber_new(&err);
	char text[] = "anything\0at\\u0041 all%41";
	char before[sizeof text];
	memcpy(before, text, sizeof text);
	size_t n, found = 7;
	assert_int_equal(scrub_text(scrubber, text, sizeof text, &n, &found, &err), 0);
	assert_int_equal(n, sizeof text);
	assert_int_equal(found, 0);
	assert_memory_equal(text, before, sizeof text);
	assert_int_equal(scrub_text(scrubber, NULL, 0, &n, NULL, &err), 0);
	assert_int_equal(n, 0);
}

static void errors_are_scrubbed_whole(void **state)
{
	(void)state;
	AUTO(secret) *secret = secret_from(S(TOKEN), &err);
	AUTO(scrubber) *scrubber = scrubber_for(secret);
	struct err subject = {0};
	(fail)(&subject, ERR_NETWORK_ERROR, "cannot reach 'https://h/?k=%s'", "tok_4f9A%2Fz%2BQ~%22x%5Cy7-Kd");
	err_detail(&subject, "url", S(TOKEN));
	err_detail_int(&subject, "status", 3);
	scrub_err(scrubber, &subject);
	assert_string_equal(subject.message, "cannot reach 'https://h/?k=[secret removed]'");
	assert_string_equal(subject.details, "\"url\":\"[secret removed]\",\"status\":3");
	assert_int_equal(subject.details_n, strlen(subject.details));
	assert_int_equal(subject.class, ERR_NETWORK_ERROR);
}

/* A body made to match almost everywhere must not cost more than its length: a MiB of a periodic secret's pieces. */
static void hostile_bodies_take_linear_time(void **state)
{
	(void)state;
	enum { SECRET = 4096, BODY = 1 << 20 };
	AUTO(secret) *secret = secret_new(SECRET, &err);
	memset(secret_borrow_mut(secret), 'a', SECRET);
	secret_borrow_mut(secret)[0] = 'b';
	AUTO(scrubber) *scrubber = scrubber_for(secret);
	AUTO_FREE char *text = xmalloc(BODY);
	memset(text, 'a', BODY);
	for (size_t i = 0; i < BODY; i += 63)
		text[i] = 'c';
	size_t n, found;
	assert_int_equal(scrub_text(scrubber, text, BODY, &n, &found, &err), 0);
	assert_int_equal(n, BODY);
	memset(text, 'a', BODY);
	assert_int_equal(scrub_text(scrubber, text, BODY, &n, &found, &err), 0);
	assert_true(str_eq(str_of(text, n), S("[secret removed]")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strikes_out_each_form),
		cmocka_unit_test(undoes_every_json_escape),
		cmocka_unit_test(an_escape_in_front_does_not_hide_it),
		cmocka_unit_test(escapes_in_the_secret_itself_are_its_own),
		cmocka_unit_test(marks_never_grow_a_body),
		cmocka_unit_test(short_secrets_are_left_to_their_header),
		cmocka_unit_test(several_secrets_at_once),
		cmocka_unit_test(long_secrets),
		cmocka_unit_test(a_scrubber_without_secrets_changes_nothing),
		cmocka_unit_test(errors_are_scrubbed_whole),
		cmocka_unit_test(hostile_bodies_take_linear_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
