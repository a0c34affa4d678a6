/* Any bytes as the report of a confined child: refused, or a report that survives the way out and back and is judged. */
#include "confine/confine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct confine_report report;
	if (confine_report_get(str_of(data, n), &report, NULL) != 0)
		return 0;
	AUTO_BUF again = BUF_INIT(4096);
	confine_report_put(&again, &report);
	if (!str_eq(buf_str(&again), str_of(data, n)))
		BUG("a report changes on its way");
	(void)!confine_judge(&report, "fuzzed", S("namespaces"), NULL);
	AUTO_BUF text = BUF_INIT(8192);
	confine_report_text(&text, &report);
	if (!buf_ok(&text))
		BUG("a report has no end");
	return 0;
}
