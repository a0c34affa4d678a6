#include "vault/keeper_token.h"
#include "base/ascii.h"
#include "base/hex.h"
#include "base/time.h"
#include "base/utf8.h"
#include "text/json_writer.h"

#define NEVER     "0001-01-01T00:00:00Z"
#define DEPTH_MAX 16 /* of members that are skipped */

/* ------------------------------------------------------------------------------------------------------------ reading */

/* Reads JSON from its beginning to its end; strings are decoded into `out`, which has room for all of the text. */
struct scan {
	struct str rest;
	char *out;
	size_t n;
	bool bad;
};

static int refuse(struct scan *scan)
{
	scan->bad = true;
	return -1;
}

static char peek(struct scan *scan)
{
	while (scan->rest.n > 0 && (scan->rest.p[0] == ' ' || scan->rest.p[0] == '\t' || scan->rest.p[0] == '\n' ||
				    scan->rest.p[0] == '\r'))
		scan->rest = str_slice(scan->rest, 1, scan->rest.n);
	return scan->rest.n > 0 ? scan->rest.p[0] : '\0';
}

static bool take(struct scan *scan, char c)
{
	if (scan->bad || peek(scan) != c || scan->rest.n == 0)
		return false;
	scan->rest = str_slice(scan->rest, 1, scan->rest.n);
	return true;
}

static void expect(struct scan *scan, char c)
{
	if (!take(scan, c))
		scan->bad = true;
}

static void put(struct scan *scan, const char *bytes, size_t n)
{
	memcpy(scan->out + scan->n, bytes, n);
	scan->n += n;
}

/* The four digits behind "\u", or -1. */
static int32_t take_unit(struct scan *scan)
{
	if (scan->rest.n < 4)
		return refuse(scan);
	int32_t unit = 0;
	for (size_t i = 0; i < 4; i++) {
		int digit = hex_digit(scan->rest.p[i]);
		if (digit < 0)
			return refuse(scan);
		unit = unit << 4 | digit;
	}
	scan->rest = str_slice(scan->rest, 4, scan->rest.n);
	return unit;
}

/* Six characters of an escape become at most three bytes, twelve of a pair four. */
static void put_unicode(struct scan *scan)
{
	int32_t unit = take_unit(scan);
	if (unit >= 0xd800 && unit <= 0xdbff && str_starts(scan->rest, S("\\u"))) {
		scan->rest = str_slice(scan->rest, 2, scan->rest.n);
		int32_t low = take_unit(scan);
		unit = low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00) : -1;
	}
	if (unit <= 0 || (unit >= 0xd800 && unit <= 0xdfff)) {
		scan->bad = true;
		return;
	}
	char bytes[4];
	put(scan, bytes, utf8_encode((uint32_t)unit, bytes));
}

static void put_escape(struct scan *scan)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	char c = scan->rest.n > 0 ? scan->rest.p[0] : '\0';
	scan->rest = str_slice(scan->rest, 1, scan->rest.n);
	if (c == 'u') {
		put_unicode(scan);
		return;
	}
	const char *letter = c != '\0' ? strchr(letters, c) : NULL;
	if (letter == NULL)
		scan->bad = true;
	else
		put(scan, &meanings[letter - letters], 1);
}

static struct str scan_string(struct scan *scan)
{
	size_t start = scan->n;
	expect(scan, '"');
	while (!scan->bad) {
		char c = scan->rest.n > 0 ? scan->rest.p[0] : '\0';
		if ((unsigned char)c < 0x20) {
			scan->bad = true;
			break;
		}
		scan->rest = str_slice(scan->rest, 1, scan->rest.n);
		if (c == '"')
			return str_of(scan->out + start, scan->n - start);
		if (c == '\\')
			put_escape(scan);
		else
			put(scan, &c, 1);
	}
	return STR_EMPTY;
}

/* A list of strings, joined by one space; null, as Go writes an empty one, is empty. */
static struct str scan_scopes(struct scan *scan)
{
	if (str_starts(scan->rest, S("null"))) {
		scan->rest = str_slice(scan->rest, 4, scan->rest.n);
		return STR_EMPTY;
	}
	size_t start = scan->n;
	expect(scan, '[');
	if (take(scan, ']'))
		return STR_EMPTY;
	do {
		if (scan->n > start)
			put(scan, " ", 1);
		scan_string(scan);
	} while (take(scan, ','));
	expect(scan, ']');
	return str_of(scan->out + start, scan->n - start);
}

static void skip_value(struct scan *scan, unsigned depth);

static void skip_members(struct scan *scan, unsigned depth, bool named)
{
	char close = named ? '}' : ']';
	expect(scan, named ? '{' : '[');
	if (take(scan, close))
		return;
	do {
		if (named) {
			peek(scan);
			scan_string(scan);
			expect(scan, ':');
		}
		skip_value(scan, depth + 1);
	} while (take(scan, ','));
	expect(scan, close);
}

/* Numbers are taken as a run of their characters: nobody reads them. */
static void skip_word(struct scan *scan)
{
	size_t n = 0;
	while (n < scan->rest.n && (ascii_is_letter(scan->rest.p[n]) || ascii_is_digit(scan->rest.p[n]) ||
				    memchr("+-.", scan->rest.p[n], 3) != NULL))
		n++;
	if (n == 0)
		scan->bad = true;
	scan->rest = str_slice(scan->rest, n, scan->rest.n);
}

static void skip_value(struct scan *scan, unsigned depth)
{
	char c = peek(scan);
	if (scan->bad || depth > DEPTH_MAX)
		scan->bad = true;
	else if (c == '"')
		scan_string(scan);
	else if (c == '{' || c == '[')
		skip_members(scan, depth, c == '{');
	else
		skip_word(scan);
}

/* ------------------------------------------------------------------------------------------------------------- expiry */

static bool number_at(struct str s, size_t at, size_t n, uint64_t *ret)
{
	uint64_t v = 0;
	for (size_t i = at; i < at + n; i++) {
		if (i >= s.n || !ascii_is_digit(s.p[i]))
			return false;
		v = 10 * v + (uint64_t)(s.p[i] - '0');
	}
	*ret = v;
	return true;
}

/* Days from 1970-01-01 to a date from then on: whole years, then whole months. */
static uint64_t days_to(uint64_t year, uint64_t month, uint64_t day)
{
	static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	uint64_t past = year - 1;
	uint64_t days =
		(year - 1970) * 365 + (past / 4 - past / 100 + past / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days + before[month - 1] + (leap && month > 2 ? 1 : 0) + day - 1;
}

/* What stands behind the seconds: a fraction, which is dropped, then "Z" or "+hh:mm". */
static bool read_zone(struct str s, int64_t *ret_offset)
{
	if (s.n > 0 && s.p[0] == '.') {
		size_t n = 1;
		while (n < s.n && ascii_is_digit(s.p[n]))
			n++;
		s = str_slice(s, n > 1 ? n : s.n, s.n);
	}
	if (str_eq(s, S("Z")) || str_eq(s, S("z"))) {
		*ret_offset = 0;
		return true;
	}
	uint64_t hours, minutes;
	if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' || !number_at(s, 1, 2, &hours) ||
	    !number_at(s, 4, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	int64_t offset = (int64_t)(hours * 3600 + minutes * 60);
	*ret_offset = s.p[0] == '+' ? offset : -offset;
	return true;
}

/* RFC 3339; years before 1971 stand for "unknown". */
static bool read_time(struct str s, uint64_t *ret)
{
	uint64_t year, month, day, hour, minute, second;
	int64_t offset;
	if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != 't') || s.p[13] != ':' ||
	    s.p[16] != ':' || !number_at(s, 0, 4, &year) || !number_at(s, 5, 2, &month) || !number_at(s, 8, 2, &day) ||
	    !number_at(s, 11, 2, &hour) || !number_at(s, 14, 2, &minute) || !number_at(s, 17, 2, &second) ||
	    !read_zone(str_slice(s, 19, s.n), &offset))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
		return false;
	*ret = 0;
	if (year > 1970)
		*ret = (uint64_t)((int64_t)(days_to(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) -
				  offset);
	return true;
}

/* ------------------------------------------------------------------------------------------------------------- members */

struct token_row {
	struct str name;
	size_t text; /* offset of the struct str that it fills */
};
#define ROW(member)                                                                                                    \
	{                                                                                                              \
		S(#member), offsetof(struct keeper_token, member)                                                      \
	}
static const struct token_row rows[] = {
	ROW(access_token),  ROW(refresh_token), ROW(token_type), ROW(client_id),
	ROW(client_secret), ROW(token_url),     ROW(scopes),     {S("expires_at"), 0},
};
enum { ROW_SCOPES = 6, ROW_EXPIRES = 7 };

static void scan_member(struct scan *scan, struct keeper_token *token, unsigned *seen)
{
	peek(scan);
	struct str name = scan_string(scan);
	expect(scan, ':');
	size_t i = 0;
	while (i < ARRAY_LEN(rows) && !str_eq(rows[i].name, name))
		i++;
	if (scan->bad || i == ARRAY_LEN(rows)) {
		skip_value(scan, 1);
		return;
	}
	if ((*seen & 1U << i) != 0)
		scan->bad = true;
	*seen |= 1U << i;
	peek(scan);
	struct str value = i == ROW_SCOPES ? scan_scopes(scan) : scan_string(scan);
	if (i == ROW_EXPIRES)
		scan->bad = scan->bad || !read_time(value, &token->expires_at_s);
	else
		memcpy((char *)token + rows[i].text, &value, sizeof value);
}

static void scan_token(struct scan *scan, struct keeper_token *token)
{
	unsigned seen = 0;
	expect(scan, '{');
	if (!take(scan, '}')) {
		do {
			scan_member(scan, token, &seen);
		} while (take(scan, ','));
		expect(scan, '}');
	}
	peek(scan);
	if (scan->rest.n > 0 || token->access_token.n == 0)
		scan->bad = true;
}

int keeper_token_read(struct str json, struct keeper_token *ret, struct err *err)
{
	AUTO_TOKEN token = {.text = secret_new(json.n, err)};
	if (token.text == NULL)
		return -1;
	struct scan scan = {.rest = json, .out = secret_borrow_mut(token.text), .bad = !str_is_utf8(json)};
	if (!scan.bad)
		scan_token(&scan, &token);
	if (scan.bad)
		return fail(err, ERR_PARSE_ERROR, "the stored OAuth token is not JSON of the form that it must have");
	*ret = token;
	token = (struct keeper_token){0};
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ writing */

static void put_member(struct json_writer *w, struct str name, struct str value, bool always)
{
	if (value.n == 0 && !always)
		return;
	jsonw_key(w, name);
	jsonw_str(w, value);
}

static void put_scopes(struct json_writer *w, struct str scopes)
{
	if (str_blank(scopes))
		return;
	jsonw_key(w, S("scopes"));
	jsonw_begin_array(w);
	while (scopes.n > 0) {
		struct str scope;
		scopes = str_cut(scopes, ' ', &scope);
		if (scope.n > 0)
			jsonw_str(w, scope);
	}
	jsonw_end_array(w);
}

struct secret *keeper_token_write(const struct keeper_token *token, struct err *err)
{
	char expires[TIME_RFC3339_SIZE] = NEVER;
	if (token->expires_at_s > 0 && token->expires_at_s < UINT64_MAX / TIME_SECOND)
		time_format_rfc3339(token->expires_at_s * TIME_SECOND, 0, expires);
	AUTO_BUF text = BUF_INIT_SECRET(SECRET_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	put_member(&w, S("access_token"), token->access_token, true);
	put_member(&w, S("refresh_token"), token->refresh_token, false);
	put_member(&w, S("expires_at"), str_from(expires), true);
	put_member(&w, S("token_type"), token->token_type, false);
	put_member(&w, S("client_id"), token->client_id, true);
	put_member(&w, S("client_secret"), token->client_secret, false);
	put_member(&w, S("token_url"), token->token_url, true);
	put_scopes(&w, token->scopes);
	jsonw_end_object(&w);
	if (buf_check(&text, "the OAuth token", err) != 0)
		return NULL;
	return secret_from(buf_str(&text), err);
}

void keeper_token_release(struct keeper_token *token)
{
	secret_free(token->text);
	*token = (struct keeper_token){0};
}
