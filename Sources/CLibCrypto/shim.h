// The low-level digest interfaces are deprecated in OpenSSL 3, yet they are the ones whose state is a plain struct
// that can be copied, saved and resumed.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>
#include <openssl/sha.h>
