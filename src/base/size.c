#include "base/size.h"
#include "base/escape.h"
#include "base/mem.h"
#include <stdio.h>

static const struct unit {
	struct str name;
	unsigned shift;
} units[] = {
	/* from large to small; the bare number last, since every text ends in "" */
	{{"GiB", 3}, 30},
	{{"MiB", 3}, 20},
	{{"KiB", 3}, 10},
	{{"", 0}, 0},
};

static bool is_plain_number(struct str digits)
{
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return false;
	}
	return digits.n == 1 || (digits.n > 1 && digits.p[0] != '0');
}

int size_parse(struct str text, uint64_t max, uint64_t *ret, struct err *err)
{
	const struct unit *unit = units;
	while (!str_ends(text, unit->name))
		unit++;
	struct str digits = str_slice(text, 0, text.n - unit->name.n);
	char shown[ESCAPE_SHOWN_SIZE], most[SIZE_TEXT_SIZE];
	if (!is_plain_number(digits))
		return fail(err, ERR_VALIDATION_ERROR,
			    "'%s' is not an amount of bytes: write it like 1048576, 64KiB, 32MiB or 1GiB",
			    escape_shown(text, shown));
	uint64_t number;
	if (!str_to_u64(digits, max >> unit->shift, &number))
		return fail(err, ERR_VALIDATION_ERROR, "'%s' is too large: at most %s is accepted",
			    escape_shown(text, shown), size_format(max, most));
	*ret = number << unit->shift;
	return 0;
}

const char *size_format(uint64_t bytes, char ret[SIZE_TEXT_SIZE])
{
	const struct unit *unit = units;
	while (unit->shift > 0 && (bytes == 0 || bytes & ((UINT64_C(1) << unit->shift) - 1)))
		unit++;
	snprintf(ret, SIZE_TEXT_SIZE, "%llu%s", (unsigned long long)(bytes >> unit->shift), unit->name.p);
	return ret;
}
