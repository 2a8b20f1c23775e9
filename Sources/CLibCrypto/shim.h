// The low-level SHA-256 interface is deprecated in OpenSSL 3, yet it is the one whose state is a plain struct
// that can be saved and resumed.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
