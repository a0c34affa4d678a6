/*
 * provider: OpenSSL made ready, without its configuration file
 *
 * Nothing of ours depends on openssl.cnf: a configuration that loads engines or providers would put code into processes
 * whose confinement says otherwise, and reading it takes milliseconds. Every use of OpenSSL in this folder begins with
 * crypto_start(). Any thread.
 */
#pragma once

/* Once; later calls cost nothing. */
void crypto_start(void);
/*
 * The same, and OpenSSL's secure heap (locked, left out of dumps, wiped) for the private keys that it copies. Does nothing
 * to one that the program has set up already; without locked memory it works unlocked.
 */
void crypto_start_secure(void);
