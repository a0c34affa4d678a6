#include "egress/scrub.h"
#include "egress/escape_view.h"
#include <stdlib.h>

/*
 * How it works. Each secret gives five forms: raw, hex, and base64 at the three offsets that it can have in a longer
 * text, of which only the characters inside are known whole. All forms are searched for at once, by blocks of two bytes
 * with a table that says how far a block allows to jump (Wu and Manber 1994). Escapes are undone (egress/escape_view):
 * the text is searched as it is, with JSON's escapes undone, with URL's, and each of those once more, as long as there
 * was something to undo; runs of base64 with line ends in them also without those. What is found is marked in one bit a
 * byte and carried back to the text through the same steps; at the end every run of marks is replaced.
 *
 * A form's characters are computed when they are compared, so there is no second copy of a secret, however spelled.
 * At each position at most SCRUB_KEY characters of each form are compared, and what lies in front of those only once.
 *
 * Undoing escapes from the left may swallow a form's first characters: a guest's "%" in front of "2Bc…" reads as "%2B".
 * So the key leaves out as many as an escape can have, which in a text as it is must match too.
 */

enum family { RAW, HEX, BASE64, FAMILY__MAX };
enum { FORMS_PER_SECRET = 5, FORMS_MAX = SCRUB_SECRETS * FORMS_PER_SECRET };
enum { DEPTH_MAX = 2 }; /* escapes in escapes */
/* Of the table: one page, which is made and wiped for little. Blocks that share an entry share the shorter jump. */
enum { SHIFTS = 4096 };

struct form {
	const struct secret *secret;
	enum family family;
	unsigned skipped_bits; /* base64: of the secret, in front of the first whole character: 0, 2 or 4 */
	size_t n;              /* characters */
	size_t key_at;         /* where the characters begin that decide, at most SCRUB_KEY */
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

/* The form's i-th character; `bytes` are its secret's. */
static unsigned char form_char(const struct form *form, struct str bytes, size_t i)
{
	static const char hex_digits[] = "0123456789abcdef";
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
	struct secret *shifts = secret_new(SHIFTS, err);
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

static size_t key_of(size_t n)
{
	enum { LONGEST = 5, SHORTER = 2 }; /* of \uXXXX; of %XX and \n: without what they begin with */
	if (n > SCRUB_KEY)
		return n - SCRUB_KEY;
	return n >= 3 * LONGEST ? LONGEST : n >= 4 * SHORTER ? SHORTER : 0;
}

static size_t block_of(unsigned char first, unsigned char second)
{
	return ((size_t)first << 4 ^ second) % SHIFTS;
}

/* Lowers the table's entries for the blocks in one form's first `window` key characters. */
static void add_blocks(const struct form *form, size_t window, unsigned char *shifts)
{
	struct str bytes = secret_borrow(form->secret);
	for (size_t i = 1; i < window; i++) {
		unsigned char firsts[3], seconds[3];
		size_t n = unfold(form->family, form_char(form, bytes, form->key_at + i - 1), firsts);
		size_t m = unfold(form->family, form_char(form, bytes, form->key_at + i), seconds);
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
		scrubber->window = MIN(scrubber->window, scrubber->forms[i].n - scrubber->forms[i].key_at);
	unsigned char *shifts = (unsigned char *)secret_borrow_mut(scrubber->shifts);
	memset(shifts, (int)(scrubber->window - 1), SHIFTS);
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
		.key_at = key_of(n),
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

void scrub_forget(struct scrubber *scrubber)
{
	scrubber->n_secrets = scrubber->n_forms = 0;
	scrubber->has_high = false;
}

static bool key_matches(const struct form *form, struct str bytes, const unsigned char *text)
{
	for (size_t i = form->n; i > form->key_at; i--) {
		if (fold(form->family, text[i - 1 - form->key_at]) != form_char(form, bytes, i - 1))
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

/* A text to be searched. */
struct haystack {
	const unsigned char *text;
	size_t n;
	bool undone; /* escapes were undone in it */
};

/* Whether the form stands with its key at `at`; then [*ret_from, *ret_to) is what is the secret's, from `floor` on. */
static bool form_matches(const struct form *form, const struct haystack *hay, size_t at, size_t floor, size_t *ret_from,
			 size_t *ret_to)
{
	const unsigned char *text = hay->text;
	struct str bytes = secret_borrow(form->secret);
	size_t key_n = form->n - form->key_at;
	if (key_n > hay->n - at || !key_matches(form, bytes, text + at))
		return false;
	size_t from = at, to = at + key_n, left = form->key_at;
	while (left > 0 && from > floor && fold(form->family, text[from - 1]) == form_char(form, bytes, left - 1)) {
		from--;
		left--;
	}
	if (left > 0 && form->n <= SCRUB_KEY && !hay->undone)
		return false;
	if (form->family == BASE64 && left == 0 && !take_base64_ends(form, text, hay->n, &from, &to))
		return false;
	*ret_from = from;
	*ret_to = to;
	return true;
}

/* The longest of what begins at `at`; occurrences do not overlap, since each is struck out whole. */
static bool longest_match(const struct scrubber *scrubber, const struct haystack *hay, size_t at, size_t floor,
			  size_t *ret_from, size_t *ret_to)
{
	size_t best_from = at, best_to = at;
	for (size_t i = 0; i < scrubber->n_forms; i++) {
		size_t from, to;
		if (form_matches(&scrubber->forms[i], hay, at, floor, &from, &to)) {
			best_from = MIN(best_from, from);
			best_to = MAX(best_to, to);
		}
	}
	if (best_to == at)
		return false;
	*ret_from = best_from;
	*ret_to = best_to;
	return true;
}

static void search(const struct scrubber *scrubber, const struct haystack *hay, struct marks *marks)
{
	size_t window = scrubber->window;
	const unsigned char *shifts = (const unsigned char *)secret_borrow(scrubber->shifts).p;
	size_t floor = 0;
	for (size_t end = window; end <= hay->n;) {
		unsigned shift = shifts[block_of(hay->text[end - 2], hay->text[end - 1])];
		size_t from, to;
		if (shift > 0) {
			end += shift;
		} else if (longest_match(scrubber, hay, end - window, floor, &from, &to)) {
			marks_set(marks, from, to);
			floor = to;
			end = to + window;
		} else {
			end++;
		}
	}
}

/* What wrapped base64 is made of. */
static const bool is_wrapped[256] = {
	['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['+'] = true,  ['/'] = true,
	['-'] = true,         ['_'] = true,         ['\n'] = true,        ['\r'] = true,
};

/*
 * Base64 (and hex, whose digits are among its) that is wrapped into lines: each run of such characters with a line end
 * inside is searched without its line ends.
 */
static int search_wrapped(const struct scrubber *scrubber, const unsigned char *text, size_t n, struct marks *marks)
{
	struct escape_view view = {.bytes = NULL};
	enum escape_result result = ESCAPE_NONE_FOUND;
	for (size_t at = 0; at < n && result != ESCAPE_NO_MEMORY;) {
		const unsigned char *line_end = memchr(text + at, '\n', n - at);
		if (line_end == NULL)
			break;
		size_t from = (size_t)(line_end - text), to = from + 1;
		while (from > at && is_wrapped[text[from - 1]])
			from--;
		while (to < n && is_wrapped[text[to]])
			to++;
		at = to;
		if (to - from <= scrubber->window)
			continue;
		result = escape_view_make(&view, ESCAPE_LINE_END, text + from, to - from);
		if (result == ESCAPE_UNDONE)
			search(scrubber, &(struct haystack){view.bytes, view.n, false}, &view.marks);
		if (view.marks.any)
			escape_view_carry(&view, ESCAPE_LINE_END, text + from, to - from, marks, from);
	}
	escape_view_release(&view);
	return result == ESCAPE_NO_MEMORY ? -1 : 0;
}

/* Searches the text as it is, and what it is with each kind of escape undone, and again what that is. */
static int search_all(const struct scrubber *scrubber, const unsigned char *text, size_t n, unsigned depth,
		      struct marks *marks)
{
	search(scrubber, &(struct haystack){text, n, depth > 0}, marks);
	if (search_wrapped(scrubber, text, n, marks) < 0)
		return -1;
	int result = 0;
	for (int i = ESCAPE_JSON; i <= ESCAPE_LATIN1 && depth < DEPTH_MAX && result == 0; i++) {
		enum escape escape = (enum escape)i;
		if (escape == ESCAPE_LATIN1 && !scrubber->has_high)
			continue;
		struct escape_view view = {.bytes = NULL};
		enum escape_result made = escape_view_make(&view, escape, text, n);
		if (made == ESCAPE_NO_MEMORY)
			result = -1;
		if (made == ESCAPE_UNDONE)
			result = search_all(scrubber, view.bytes, view.n, depth + 1, &view.marks);
		if (result == 0 && view.marks.any)
			escape_view_carry(&view, escape, text, n, marks, 0);
		escape_view_release(&view);
	}
	return result;
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
		while (end < n && marks_at(marks, end))
			end++;
		if (end > at) {
			struct str with = mark_for(end - at);
			memcpy(text + out, with.p, with.n);
			out += with.n;
			found++;
			at = end;
			continue;
		}
		while (end < n && !marks_at(marks, end))
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
		struct marks marks;
		bool searched = marks_init(&marks, n) && search_all(scrubber, (unsigned char *)text, n, 0, &marks) == 0;
		if (searched && marks.any)
			n = replace(text, n, &marks, &found);
		marks_release(&marks);
		if (!searched)
			return fail(err, ERR_LIMIT,
				    "no memory to search %zu bytes for the secret, so they cannot be passed on", n);
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
