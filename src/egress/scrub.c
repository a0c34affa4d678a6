#include "egress/scrub.h"
#include "base/hex.h"
#include <stdlib.h>

/*
 * How it works. Each secret gives five forms: raw, hex, and base64 at the three offsets that it can have in a longer
 * text, of which only the characters inside are known whole. All forms are searched for at once, by blocks of two bytes
 * with a table that says how far a block allows to jump (Wu and Manber 1994). Escapes are undone first: the text is
 * searched as it is, without line ends, with JSON's escapes undone, with URL's, and then each of those once more, as
 * long as there was something to undo. What is found is marked in one bit a byte and carried back to the text through
 * the same steps; at the end every run of marks is replaced.
 *
 * A form's characters are computed when they are compared, so there is no second copy of a secret, however spelled.
 * At each position at most SCRUB_KEY characters of each form are compared, and what lies in front of those only once.
 */

enum family { RAW, HEX, BASE64, FAMILY__MAX };
enum { FORMS_PER_SECRET = 5, FORMS_MAX = SCRUB_SECRETS * FORMS_PER_SECRET };
enum { DEPTH_MAX = 2 }; /* escapes in escapes */

struct form {
	const struct secret *secret;
	enum family family;
	unsigned skipped_bits; /* base64: of the secret, in front of the first whole character: 0, 2 or 4 */
	size_t n;              /* characters */
	size_t key_at;         /* where the last SCRUB_KEY of them begin */
};

struct scrubber {
	size_t n_secrets;
	size_t n_forms;
	struct form forms[FORMS_MAX];
	size_t window;         /* characters that the table looks at: the shortest form's, at most SCRUB_KEY */
	bool has_high;         /* some secret has a byte outside ASCII */
	struct secret *shifts; /* by block: how far the window may move; what it holds tells of the secrets */
};

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The one spelling of a byte that stands for those that a form does not tell apart. */
static unsigned char fold(enum family family, unsigned char c)
{
	switch (family) {
	case RAW:
		return c == '+' ? ' ' : c;
	case HEX:
		return (unsigned char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
	case BASE64:
		/* A space is a plus that went through a form. */
		return (unsigned char)(c == '-' || c == ' ' ? '+' : c == '_' ? '/' : c);
	case FAMILY__MAX:
		break;
	}
	return c;
}

/* All bytes that fold to c; returns how many. */
static size_t unfold(enum family family, unsigned char c, unsigned char ret[3])
{
	size_t n = 0;
	ret[n++] = c;
	if (family == RAW && c == ' ')
		ret[n++] = '+';
	if (family == HEX && c >= 'a' && c <= 'f')
		ret[n++] = (unsigned char)(c - 'a' + 'A');
	if (family == BASE64 && c == '+') {
		ret[n++] = '-';
		ret[n++] = ' ';
	}
	if (family == BASE64 && c == '/')
		ret[n++] = '_';
	return n;
}

/* `count` bits (at most 6) of the bytes from bit `at`, most significant first. */
static unsigned bits_at(struct str bytes, size_t at, unsigned count)
{
	unsigned high = (unsigned char)bytes.p[at / 8];
	unsigned low = at / 8 + 1 < bytes.n ? (unsigned char)bytes.p[at / 8 + 1] : 0;
	unsigned both = high << 8 | low;
	return both >> (16 - at % 8 - count) & ((1U << count) - 1);
}

static unsigned char form_char(const struct form *form, size_t i)
{
	static const char hex_digits[] = "0123456789abcdef";
	struct str bytes = secret_borrow(form->secret);
	if (form->family == RAW)
		return fold(RAW, (unsigned char)bytes.p[i]);
	if (form->family == HEX)
		return (unsigned char)hex_digits[bits_at(bytes, 4 * i, 4)];
	return (unsigned char)base64_digits[bits_at(bytes, form->skipped_bits + 6 * i, 6)];
}

static int base64_value(unsigned char c)
{
	c = fold(BASE64, c);
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

struct scrubber *scrubber_new(struct err *err)
{
	struct secret *shifts = secret_new(UINT16_MAX + 1, err);
	if (shifts == NULL)
		return NULL;
	struct scrubber *scrubber = NEW(struct scrubber);
	scrubber->shifts = shifts;
	return scrubber;
}

void scrubber_free(struct scrubber *scrubber)
{
	if (scrubber == NULL)
		return;
	secret_free(scrubber->shifts);
	free(scrubber);
}

static size_t block_of(unsigned char first, unsigned char second)
{
	return (size_t)first << 8 | second;
}

/* Lowers the table's entries for the blocks in one form's first `window` key characters. */
static void add_blocks(const struct form *form, size_t window, unsigned char *shifts)
{
	for (size_t i = 1; i < window; i++) {
		unsigned char firsts[3], seconds[3];
		size_t n = unfold(form->family, form_char(form, form->key_at + i - 1), firsts);
		size_t m = unfold(form->family, form_char(form, form->key_at + i), seconds);
		unsigned char shift = (unsigned char)(window - 1 - i);
		for (size_t j = 0; j < n * m; j++) {
			unsigned char *entry = &shifts[block_of(firsts[j / m], seconds[j % m])];
			*entry = MIN(*entry, shift);
		}
	}
}

static void build_table(struct scrubber *scrubber)
{
	scrubber->window = SCRUB_KEY;
	for (size_t i = 0; i < scrubber->n_forms; i++)
		scrubber->window = MIN(scrubber->window, scrubber->forms[i].n);
	unsigned char *shifts = (unsigned char *)secret_borrow_mut(scrubber->shifts);
	memset(shifts, (int)(scrubber->window - 1), UINT16_MAX + 1);
	for (size_t i = 0; i < scrubber->n_forms; i++)
		add_blocks(&scrubber->forms[i], scrubber->window, shifts);
}

static void add_form(struct scrubber *scrubber, const struct secret *secret, enum family family, unsigned skipped_bits,
		     size_t n)
{
	if (n < SCRUB_MIN)
		return;
	scrubber->forms[scrubber->n_forms++] = (struct form){
		.secret = secret,
		.family = family,
		.skipped_bits = skipped_bits,
		.n = n,
		.key_at = n > SCRUB_KEY ? n - SCRUB_KEY : 0,
	};
}

int scrub_add(struct scrubber *scrubber, const struct secret *secret, struct err *err)
{
	if (scrubber->n_secrets == SCRUB_SECRETS)
		return fail(err, ERR_LIMIT, "more than %d secrets are to be struck out", SCRUB_SECRETS);
	struct str bytes = secret_borrow(secret);
	if (bytes.n < SCRUB_MIN)
		return 0;
	scrubber->n_secrets++;
	add_form(scrubber, secret, RAW, 0, bytes.n);
	add_form(scrubber, secret, HEX, 0, 2 * bytes.n);
	for (unsigned skipped = 0; skipped <= 4; skipped += 2)
		add_form(scrubber, secret, BASE64, skipped, (8 * bytes.n - skipped) / 6);
	for (size_t i = 0; i < bytes.n; i++)
		scrubber->has_high = scrubber->has_high || (unsigned char)bytes.p[i] >= 0x80;
	build_table(scrubber);
	return 0;
}

/* One bit a byte of a text. */
struct marks {
	unsigned char *bits;
	size_t n;
	bool any;
};

static void mark(struct marks *marks, size_t from, size_t to)
{
	marks->any = true;
	for (; from < to; from++)
		marks->bits[from / 8] |= (unsigned char)(1U << (from % 8));
}

static bool marked(const struct marks *marks, size_t at)
{
	return (marks->bits[at / 8] >> (at % 8) & 1) != 0;
}

static bool key_matches(const struct form *form, const unsigned char *text)
{
	for (size_t i = form->n; i > form->key_at; i--) {
		if (fold(form->family, text[i - 1 - form->key_at]) != form_char(form, i - 1))
			return false;
	}
	return true;
}

/*
 * The characters of base64 in which the secret begins and ends belong to it in part; *from and *to are moved over them.
 * False when those parts are not the secret's.
 */
static bool take_base64_ends(const struct form *form, const unsigned char *text, size_t n, size_t *from, size_t *to)
{
	struct str bytes = secret_borrow(form->secret);
	if (form->skipped_bits > 0) {
		int value = *from > 0 ? base64_value(text[*from - 1]) : -1;
		unsigned mask = (1U << form->skipped_bits) - 1;
		if (value < 0 || ((unsigned)value & mask) != bits_at(bytes, 0, form->skipped_bits))
			return false;
		--*from;
	}
	size_t whole = form->skipped_bits + 6 * form->n;
	unsigned rest = (unsigned)(8 * bytes.n - whole);
	if (rest > 0) {
		int value = *to < n ? base64_value(text[*to]) : -1;
		if (value < 0 || (unsigned)value >> (6 - rest) != bits_at(bytes, whole, rest))
			return false;
		++*to;
	}
	return true;
}

/* Whether the form's key stands at `at`; then [*ret_from, *ret_to) is what is the secret's, not in front of `floor`. */
static bool form_matches(const struct form *form, const unsigned char *text, size_t n, size_t at, size_t floor,
			 size_t *ret_from, size_t *ret_to)
{
	size_t key_n = form->n - form->key_at;
	if (key_n > n - at || !key_matches(form, text + at))
		return false;
	size_t from = at, to = at + key_n, left = form->key_at;
	while (left > 0 && from > floor && fold(form->family, text[from - 1]) == form_char(form, left - 1)) {
		from--;
		left--;
	}
	if (form->family == BASE64 && left == 0 && !take_base64_ends(form, text, n, &from, &to))
		return false;
	*ret_from = from;
	*ret_to = to;
	return true;
}

static void search(const struct scrubber *scrubber, const unsigned char *text, size_t n, struct marks *marks)
{
	size_t window = scrubber->window;
	const unsigned char *shifts = (const unsigned char *)secret_borrow(scrubber->shifts).p;
	size_t floor = 0;
	for (size_t end = window; end <= n;) {
		unsigned shift = shifts[block_of(text[end - 2], text[end - 1])];
		if (shift > 0) {
			end += shift;
			continue;
		}
		for (size_t i = 0; i < scrubber->n_forms; i++) {
			size_t from, to;
			if (form_matches(&scrubber->forms[i], text, n, end - window, floor, &from, &to)) {
				mark(marks, from, to);
				floor = MAX(floor, to);
			}
		}
		end++;
	}
}

/* A way to undo escapes. `take` reads one unit at the front: how many bytes it takes, and what it stands for. */
struct step {
	size_t (*take)(const unsigned char *text, size_t n, unsigned char ret[4], size_t *ret_n);
	unsigned char leads[2]; /* what an escape begins with */
	bool for_high;          /* only when a secret has bytes outside ASCII */
	bool last;              /* nothing else is undone behind it */
};

static size_t take_line_end(const unsigned char *text, size_t n, unsigned char ret[4], size_t *ret_n)
{
	(void)n;
	ret[0] = text[0];
	*ret_n = text[0] == '\n' || text[0] == '\r' ? 0 : 1;
	return 1;
}

static size_t take_url(const unsigned char *text, size_t n, unsigned char ret[4], size_t *ret_n)
{
	*ret_n = 1;
	ret[0] = text[0];
	if (text[0] != '%' || n < 3)
		return 1;
	int high = hex_digit((char)text[1]), low = hex_digit((char)text[2]);
	if (high < 0 || low < 0)
		return 1;
	ret[0] = (unsigned char)(high << 4 | low);
	return 3;
}

/* What a service writes that takes a header's bytes for Latin-1 and answers in UTF-8. */
static size_t take_latin1(const unsigned char *text, size_t n, unsigned char ret[4], size_t *ret_n)
{
	*ret_n = 1;
	ret[0] = text[0];
	if ((text[0] != 0xc2 && text[0] != 0xc3) || n < 2 || (text[1] & 0xc0) != 0x80)
		return 1;
	ret[0] = (unsigned char)(text[0] << 6 | (text[1] & 0x3f));
	return 2;
}

/* The four digits behind "\u", or -1. */
static int32_t unit_at(const unsigned char *text, size_t n)
{
	if (n < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	int32_t unit = 0;
	for (size_t i = 2; i < 6; i++) {
		int digit = hex_digit((char)text[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static size_t put_utf8(uint32_t c, unsigned char ret[4])
{
	if (c < 0x80) {
		ret[0] = (unsigned char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		ret[i] = (unsigned char)(0x80 | (c & 0x3f));
	static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
	ret[0] = (unsigned char)(leads[n] | c);
	return n;
}

static size_t take_json(const unsigned char *text, size_t n, unsigned char ret[4], size_t *ret_n)
{
	*ret_n = 1;
	ret[0] = text[0];
	if (text[0] != '\\' || n < 2)
		return 1;
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter = text[1] != 0 ? strchr(letters, text[1]) : NULL;
	if (letter != NULL) {
		ret[0] = (unsigned char)meanings[letter - letters];
		return 2;
	}
	int32_t unit = unit_at(text, n);
	if (unit < 0)
		return 1;
	bool leads = unit >= 0xd800 && unit < 0xdc00;
	int32_t second = leads ? unit_at(text + 6, n - 6) : -1;
	if (second >= 0xdc00 && second < 0xe000) {
		*ret_n = put_utf8((uint32_t)(0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00)), ret);
		return 12;
	}
	*ret_n = put_utf8((uint32_t)unit, ret);
	return 6;
}

static const struct step steps[] = {
	{.take = take_line_end, .leads = {'\n', '\r'}, .last = true},
	{.take = take_json, .leads = {'\\', '\\'}},
	{.take = take_url, .leads = {'%', '%'}},
	{.take = take_latin1, .leads = {0xc2, 0xc3}, .for_high = true},
};

/* A text with one kind of escape undone. Wiped: it may hold the secret. */
struct view {
	unsigned char *bytes;
	size_t n, room;
};

static void view_release(struct view *view)
{
	if (view->bytes != NULL)
		mem_wipe(view->bytes, view->room);
	free(view->bytes);
}

static size_t next_lead(const struct step *step, const unsigned char *text, size_t at, size_t n)
{
	unsigned char first = step->leads[0], second = step->leads[1];
	while (at < n && text[at] != first && text[at] != second)
		at++;
	return at;
}

/* Where the first escape is, or n. */
static size_t first_escape(const struct step *step, const unsigned char *text, size_t n)
{
	unsigned char unit[4];
	size_t unit_n;
	for (size_t at = next_lead(step, text, 0, n); at < n; at = next_lead(step, text, at + 1, n)) {
		if (step->take(text + at, n - at, unit, &unit_n) != 1 || unit_n != 1)
			return at;
	}
	return n;
}

/* Undoes a kind of escape; `ret` stays empty when the text has none. -1 when memory cannot be had. */
static int view_make(const struct step *step, const unsigned char *text, size_t n, struct view *ret)
{
	size_t at = first_escape(step, text, n);
	if (at == n)
		return 0;
	unsigned char *bytes = malloc(n);
	if (bytes == NULL)
		return -1;
	memcpy(bytes, text, at);
	size_t made = at;
	while (at < n) {
		unsigned char unit[4];
		size_t unit_n;
		at += step->take(text + at, n - at, unit, &unit_n);
		for (size_t i = 0; i < unit_n; i++)
			bytes[made++] = unit[i];
		size_t next = next_lead(step, text, at, n);
		memcpy(bytes + made, text + at, next - at);
		made += next - at;
		at = next;
	}
	*ret = (struct view){.bytes = bytes, .n = made, .room = n};
	return 0;
}

/* Carries marks of a view back to the text that it was made of: a unit of which a byte is marked is marked whole. */
static void carry_back(const struct step *step, const unsigned char *text, size_t n, const struct marks *of_view,
		       struct marks *marks)
{
	size_t made = 0;
	bool before = false; /* the unit in front is marked: a line end between two marked ones goes too */
	for (size_t at = 0; at < n;) {
		unsigned char unit[4];
		size_t unit_n;
		size_t taken = step->take(text + at, n - at, unit, &unit_n);
		bool hit = false;
		for (size_t i = 0; i < unit_n; i++)
			hit = hit || marked(of_view, made + i);
		if (unit_n == 0)
			hit = before && made < of_view->n && marked(of_view, made);
		if (hit)
			mark(marks, at, at + taken);
		before = hit;
		made += unit_n;
		at += taken;
	}
}

static int search_all(const struct scrubber *scrubber, const unsigned char *text, size_t n, unsigned depth,
		      struct marks *marks);

static int search_behind(const struct scrubber *scrubber, const struct step *step, const unsigned char *text, size_t n,
			 unsigned depth, struct marks *marks)
{
	struct view view = {.bytes = NULL};
	if (view_make(step, text, n, &view) < 0)
		return -1;
	if (view.bytes == NULL)
		return 0;
	struct marks of_view = {.bits = calloc(view.n / 8 + 1, 1), .n = view.n};
	int result = -1;
	if (of_view.bits != NULL)
		result = search_all(scrubber, view.bytes, view.n, step->last ? DEPTH_MAX + 1 : depth + 1, &of_view);
	if (result == 0 && of_view.any)
		carry_back(step, text, n, &of_view, marks);
	free(of_view.bits);
	view_release(&view);
	return result;
}

/* Searches the text as it is, then with escapes undone. The line ends' step, being last, is taken at any depth. */
static int search_all(const struct scrubber *scrubber, const unsigned char *text, size_t n, unsigned depth,
		      struct marks *marks)
{
	search(scrubber, text, n, marks);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		bool allowed = steps[i].last ? depth <= DEPTH_MAX : depth < DEPTH_MAX;
		if (!allowed || (steps[i].for_high && !scrubber->has_high))
			continue;
		if (search_behind(scrubber, &steps[i], text, n, depth, marks) < 0)
			return -1;
	}
	return 0;
}

/* The longest mark that is no longer than what it replaces; no form is shorter than the shortest. */
static struct str mark_for(size_t n)
{
	if (n >= sizeof "[secret removed]" - 1)
		return S("[secret removed]");
	if (n >= sizeof "[removed]" - 1)
		return S("[removed]");
	return S("****");
}

static size_t replace(char *text, size_t n, const struct marks *marks, size_t *ret_found)
{
	size_t out = 0, found = 0;
	for (size_t at = 0; at < n;) {
		size_t end = at;
		while (end < n && marked(marks, end))
			end++;
		if (end > at) {
			struct str with = mark_for(end - at);
			memcpy(text + out, with.p, with.n);
			out += with.n;
			found++;
			at = end;
			continue;
		}
		while (end < n && !marked(marks, end))
			end++;
		memmove(text + out, text + at, end - at);
		out += end - at;
		at = end;
	}
	*ret_found = found;
	return out;
}

int scrub_text(const struct scrubber *scrubber, char *text, size_t n, size_t *ret_n, size_t *ret_found, struct err *err)
{
	size_t found = 0;
	if (scrubber->n_forms > 0 && n >= scrubber->window) {
		struct marks marks = {.bits = calloc(n / 8 + 1, 1), .n = n};
		if (marks.bits == NULL || search_all(scrubber, (unsigned char *)text, n, 0, &marks) < 0) {
			free(marks.bits);
			return fail(err, ERR_LIMIT,
				    "no memory to search %zu bytes for the secret, so they cannot be passed on", n);
		}
		if (marks.any)
			n = replace(text, n, &marks, &found);
		free(marks.bits);
	}
	*ret_n = n;
	if (ret_found != NULL)
		*ret_found = found;
	return 0;
}

void scrub_err(const struct scrubber *scrubber, struct err *subject)
{
	size_t message_n = 0, details_n = 0;
	if (scrub_text(scrubber, subject->message, strlen(subject->message), &message_n, NULL, NULL) < 0)
		message_n = 0;
	subject->message[message_n] = '\0';
	if (scrub_text(scrubber, subject->details, subject->details_n, &details_n, NULL, NULL) < 0)
		details_n = 0;
	subject->details[details_n] = '\0';
	subject->details_n = (uint32_t)details_n;
}
