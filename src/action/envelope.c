#include "action/envelope.h"
#include "base/escape.h"

#define DELIMITER "+++"

/* Takes the next line, without its end, off the text. */
static struct str next_line(struct str *rest)
{
	struct str line;
	*rest = str_cut(*rest, '\n', &line);
	return line;
}

static bool is_delimiter(struct str line)
{
	return str_eq(str_trim(line), S(DELIMITER));
}

static int refuse(const char *file, uint32_t line, struct err *err, const char *why, struct str found)
{
	char shown[ESCAPE_SHOWN_SIZE];
	if (found.p == NULL)
		fail(err, ERR_PARSE_ERROR, "%s", why);
	else
		fail(err, ERR_PARSE_ERROR, "%s, not with '%s'", why, escape_shown(found, shown));
	return err_at(err, file, line);
}

int envelope_split(struct str text, const char *file, struct envelope *ret, struct err *err)
{
	struct str rest = text;
	if (str_starts(rest, S("\xef\xbb\xbf")))
		rest = str_slice(rest, 3, rest.n);
	uint32_t line = 0;
	struct str first = STR_EMPTY;
	while (rest.n > 0 && str_blank(first)) {
		first = next_line(&rest);
		line++;
	}
	if (str_blank(first))
		return refuse(file, 0, err, "the file is empty: an action begins with a line '" DELIMITER "'",
			      STR_EMPTY);
	if (!is_delimiter(first))
		return refuse(file, line, err, "an action begins with a line '" DELIMITER "'", str_trim(first));
	struct str front = rest;
	while (rest.n > 0) {
		struct str next = next_line(&rest);
		if (is_delimiter(next)) {
			front.n = (size_t)(next.p - front.p);
			*ret = (struct envelope){front, rest, line};
			return 0;
		}
	}
	return refuse(file, line, err, "the front matter that begins here has no closing line '" DELIMITER "'",
		      STR_EMPTY);
}
