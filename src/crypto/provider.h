/*
 * provider: getting OpenSSL ready
 *
 * Looking up an algorithm for the first time reads OpenSSL's configuration and takes a millisecond. A program calls
 * this once while it may still open files, before it confines itself; without it everything works, later. Any thread.
 */
#pragma once

void crypto_prepare(void);
