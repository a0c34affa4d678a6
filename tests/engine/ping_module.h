/*
 * ping_module: the smallest whole connector, byte by byte (697 of them)
 *
 * It reads standard input to its end, logs "ping start", asks for GET https://api.example.com/v1/ping with credential
 * api_key, and wraps the JSON of a 200 answer as {"output":{"reply":…}}. Any other course ends with exit code 1.
 */
#pragma once

#define PING_REQUEST                                                                                                   \
	"{\"method\":\"GET\",\"url\":\"https://api.example.com/v1/ping\","                                             \
	"\"headers\":{\"Accept\":\"application/json\"},\"credential\":\"api_key\"}"

#define PING_MODULE_SIZE 697

/* clang-format off */
static const char ping_module[PING_MODULE_SIZE + 1] =
	/* header */
	"\x00" "asm" "\x01\x00\x00\x00"
	/* types: (i32 x4)->(), (i32 i32)->i32, ()->i32, (i32 x4)->i32, (i32)->(), ()->() */
	"\x01\x21\x06"
	"\x60\x04\x7f\x7f\x7f\x7f\x00" "\x60\x02\x7f\x7f\x01\x7f" "\x60\x00\x01\x7f"
	"\x60\x04\x7f\x7f\x7f\x7f\x01\x7f" "\x60\x01\x7f\x00" "\x60\x00\x00"
	/* imports, functions 0 to 7 */
	"\x02\xfe\x01\x08"
	"\x0c" "aileron_host" "\x03" "log" "\x00\x00"
	"\x0c" "aileron_host" "\x0c" "http_request" "\x00\x01"
	"\x0c" "aileron_host" "\x12" "http_response_size" "\x00\x02"
	"\x0c" "aileron_host" "\x14" "http_response_status" "\x00\x02"
	"\x0c" "aileron_host" "\x12" "http_response_read" "\x00\x01"
	"\x16" "wasi_snapshot_preview1" "\x07" "fd_read" "\x00\x03"
	"\x16" "wasi_snapshot_preview1" "\x08" "fd_write" "\x00\x03"
	"\x16" "wasi_snapshot_preview1" "\x09" "proc_exit" "\x00\x04"
	/* function 8 of type 5, one page of memory, exports */
	"\x03\x02\x01\x05"
	"\x05\x03\x01\x00\x01"
	"\x07\x13\x02" "\x06" "memory" "\x02\x00" "\x06" "_start" "\x00\x08"
	/* code: one body of 170 bytes, one i32 local n */
	"\x0a\xad\x01\x01\xaa\x01" "\x01\x01\x7f"
	"\x41\x00\x41\x80\x02\x36\x02\x00"                 /* iov[0].at = 0x100 */
	"\x41\x00\x41\x80\x08\x36\x02\x04"                 /* iov[0].n = 0x400 */
	"\x02\x40\x03\x40"                                 /* block, loop */
	"\x41\x00\x41\x00\x41\x01\x41\x08\x10\x05"         /* fd_read(0, 0, 1, 8) */
	"\x04\x40\x41\x01\x10\x07\x0b"                     /* if it is not 0: proc_exit(1) */
	"\x41\x08\x28\x02\x00\x45\x0d\x01\x0c\x00\x0b\x0b" /* until nread == 0 */
	"\x41\x80\x10\x41\x04\x41\x90\x10\x41\x0a\x10\x00" /* log(0x800, 4, 0x810, 10) */
	"\x41\x80\x12\x41\xf7\x00\x10\x01"                 /* http_request(0x900, 119) */
	"\x41\x00\x47\x04\x40\x41\x01\x10\x07\x0b"         /* if it is not 0: proc_exit(1) */
	"\x10\x02\x21\x00"                                 /* n = http_response_size() */
	"\x10\x03\x41\xc8\x01\x47"                         /* http_response_status() != 200 */
	"\x04\x40\x41\x01\x10\x07\x0b"                     /* then proc_exit(1) */
	"\x41\x80\x20\x20\x00\x10\x04\x1a"                 /* http_response_read(0x1000, n) */
	"\x41\x00\x41\x80\xc0\x00\x36\x02\x00"             /* iov[0] = {0x2000, 19} */
	"\x41\x00\x41\x13\x36\x02\x04"
	"\x41\x00\x41\x80\x20\x36\x02\x08" /* iov[1] = {0x1000, n} */
	"\x41\x00\x20\x00\x36\x02\x0c"
	"\x41\x00\x41\xa0\xc0\x00\x36\x02\x10" /* iov[2] = {0x2020, 3} */
	"\x41\x00\x41\x03\x36\x02\x14"
	"\x41\x01\x41\x00\x41\x03\x41\x18\x10\x06\x1a" /* fd_write(1, 0, 3, 24) */
	"\x41\x00\x10\x07\x0b"                         /* proc_exit(0) */
	/* data */
	"\x0b\xbc\x01\x05"
	"\x00\x41\x80\x10\x0b\x04" "info"
	"\x00\x41\x90\x10\x0b\x0a" "ping start"
	"\x00\x41\x80\x12\x0b\x77" PING_REQUEST
	"\x00\x41\x80\xc0\x00\x0b\x13" "{\"output\":{\"reply\":"
	"\x00\x41\xa0\xc0\x00\x0b\x03" "}}\n";
/* clang-format on */
