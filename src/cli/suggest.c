#include "cli/suggest.h"
#include "base/ascii.h"
#include "base/mem.h"

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	return MIN(MIN(a, b), c);
}

/* Three rows of the table of distances between the beginnings of both words are enough. */
unsigned suggest_distance(struct str a, struct str b)
{
	unsigned rows[3][SUGGEST_MAX + 1];
	if (a.n > SUGGEST_MAX || b.n > SUGGEST_MAX)
		return SUGGEST_MAX;
	for (unsigned j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned differs = ascii_lower(a.p[i - 1]) != ascii_lower(b.p[j - 1]);
			row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + differs);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				row[j] = MIN(row[j], before[j - 2] + 1);
		}
	}
	return rows[a.n % 3][b.n];
}

bool suggest_is_near(struct str typed, struct str word)
{
	if (typed.n == 0 || typed.n > SUGGEST_MAX || word.n > SUGGEST_MAX)
		return false;
	if (typed.n >= 2 && str_starts(word, typed))
		return true;
	size_t longer = MAX(typed.n, word.n);
	unsigned most = longer < 3 ? 0 : longer < 6 ? 1 : (unsigned)(longer / 3);
	return suggest_distance(typed, word) <= most;
}
