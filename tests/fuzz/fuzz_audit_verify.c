/*
 * Any bytes as an export: verifying answers, never with an intact verdict for what is not an export of ours word for word.
 * The corpus has whole exports; the fuzzer changes them.
 */
#include "audit/audit.h"
#include "audit/line.h"
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_FD fd = memfd_create("export", MFD_CLOEXEC);
	if (fd < 0 || (n > 0 && write(fd, data, n) != (ssize_t)n) || lseek(fd, 0, SEEK_SET) != 0)
		BUG("no file in memory");
	static const char key[32] = {1};
	struct audit_verdict verdict;
	struct err err = {0};
	if (audit_verify_file(fd, "export", str_of(key, sizeof key), &verdict, &err) != 0)
		BUG("a file in memory cannot be read: %s", err.message);
	if (verdict.intact != (verdict.broken_line == 0) || verdict.intact != (verdict.why[0] == '\0'))
		BUG("a verdict contradicts itself");
	if (verdict.origin_proven)
		BUG("a signature by a key that nobody has");
	if (verdict.intact && (n == 0 || data[n - 1] != '\n' || verdict.last_seq - verdict.first_seq > n))
		BUG("an intact record that is none");

	/* One line alone, with its own hash. */
	struct audit_link link;
	char why[AUDIT_WHY] = "";
	struct str text = str_of(data, n);
	if (!audit_line_read(text, &link, why) && why[0] == '\0')
		BUG("refused without a reason");
	return 0;
}
