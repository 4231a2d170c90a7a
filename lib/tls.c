/* TLS contexts. Roles that listen with TLS and relay. OpenSSL initialises itself at the first
 * context, so the others never pay. */
#include "lib/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "lib/net.h"
#include "lib/tls_private.h"

enum { TICKET_KEYS = 80 }; /* octets OpenSSL 3 wants: name 16, HMAC 32, AES 32 */

struct tls_ctx {
	SSL_CTX *ssl;
	unsigned refs;
	bool verify;
};

static int failed(struct err *e, const char *what)
{
	char text[200];
	ERR_error_string_n(ERR_get_error(), text, sizeof text);
	ERR_clear_error();
	return err_set(e, ERR_TLS, "%s: %s", what, text);
}

static struct tls_ctx *make(const SSL_METHOD *method)
{
	SSL_CTX *ssl = SSL_CTX_new(method);
	if (!ssl) { abort(); }
	struct tls_ctx *c = xnew(struct tls_ctx);
	c->ssl = ssl;
	c->refs = 1;
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_cipher_list(
		ssl, "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!MD5:!DSS");
	/* AES-128 first: no weaker than the key exchange before it, and a fifth faster */
	SSL_CTX_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
				      "TLS_CHACHA20_POLY1305_SHA256");
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	return c;
}

static int refuse_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

static int load_chain(SSL_CTX *ssl, struct str pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *cert = PEM_read_bio_X509(bio, NULL, refuse_passphrase, NULL);
	int rc = cert && SSL_CTX_use_certificate(ssl, cert) == 1
			 ? 0
			 : failed(e, "the certificate cannot be read");
	X509_free(cert);
	while (rc == 0 && (cert = PEM_read_bio_X509(bio, NULL, refuse_passphrase, NULL))) {
		if (SSL_CTX_add0_chain_cert(ssl, cert) != 1) {
			X509_free(cert);
			rc = failed(e, "the certificate chain cannot be used");
		}
	}
	ERR_clear_error();
	BIO_free(bio);
	return rc;
}

static int load_key(SSL_CTX *ssl, struct str pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL);
	int rc = 0;
	if (!key) {
		rc = failed(e, "the private key cannot be read (a passphrase is not supported)");
	} else if (SSL_CTX_use_PrivateKey(ssl, key) != 1 || SSL_CTX_check_private_key(ssl) != 1) {
		rc = err_set(e, ERR_TLS, "the private key does not belong to the certificate");
	}
	ERR_clear_error();
	EVP_PKEY_free(key);
	BIO_free(bio);
	return rc;
}

struct tls_ctx *tls_server_new(struct str cert_pem, struct str key_pem, struct err *e)
{
	struct tls_ctx *c = make(TLS_server_method());
	if (cert_pem.n == 0) { err_set(e, ERR_TLS, "no certificate was given"); }
	if (cert_pem.n == 0 || cert_pem.n > INT32_MAX || key_pem.n > INT32_MAX ||
		load_chain(c->ssl, cert_pem, e) < 0 ||
		load_key(c->ssl, key_pem.n ? key_pem : cert_pem, e) < 0) {
		tls_put(c);
		return NULL;
	}
	SSL_CTX_set_num_tickets(c->ssl, 1);
	return c;
}

/* Trust the certificates of a PEM text, or the system's. */
static int load_trust(struct tls_ctx *c, struct str pem, struct err *e)
{
	if (pem.n == 0) {
		return SSL_CTX_set_default_verify_paths(c->ssl) == 1
			       ? 0
			       : failed(e, "no system certificates");
	}
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
	X509 *cert;
	size_t n = 0;
	while ((cert = PEM_read_bio_X509(bio, NULL, refuse_passphrase, NULL))) {
		n += X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	ERR_clear_error();
	BIO_free(bio);
	return n ? 0 : err_set(e, ERR_TLS, "no CA certificate could be read");
}

struct tls_ctx *tls_client_new(enum tls_verify verify, struct str ca_pem, struct err *e)
{
	struct tls_ctx *c = make(TLS_client_method());
	c->verify = verify == TLS_VERIFY;
	if (c->verify && load_trust(c, ca_pem, e) < 0) {
		tls_put(c);
		return NULL;
	}
	SSL_CTX_set_verify(c->ssl, c->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return c;
}

struct tls_ctx *tls_get(struct tls_ctx *c)
{
	c->refs++;
	return c;
}

void tls_put(struct tls_ctx *c)
{
	if (!c || --c->refs) { return; }
	SSL_CTX_free(c->ssl);
	free(c);
}

void tls_share_tickets(struct tls_ctx *to, const struct tls_ctx *from)
{
	unsigned char keys[TICKET_KEYS];
	if (SSL_CTX_get_tlsext_ticket_keys(from->ssl, keys, sizeof keys) == 1) {
		SSL_CTX_set_tlsext_ticket_keys(to->ssl, keys, sizeof keys);
	}
	wipe(keys, sizeof keys);
}

SSL *tls_ssl_new(struct tls_ctx *c, bool server, struct str sni)
{
	SSL *ssl = SSL_new(c->ssl);
	struct net_addr literal;
	if (!ssl) { return NULL; }
	if (server) {
		SSL_set_accept_state(ssl);
		return ssl;
	}
	SSL_set_connect_state(ssl);
	if (sni.n) {
		char *name = xstrdup(sni);
		bool is_ip = net_addr_parse(sni, 0, &literal) == 0;
		if (!is_ip) { SSL_set_tlsext_host_name(ssl, name); }
		if (c->verify && is_ip) {
			X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
		}
		if (c->verify && !is_ip) { SSL_set1_host(ssl, name); }
		free(name);
	}
	return ssl;
}

/* --- making certificates --- */

static int put_pem(struct buf *out, X509 *cert, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	int ok = cert ? PEM_write_bio_X509(bio, cert)
		      : PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	long n = BIO_get_mem_data(bio, &p);
	if (ok == 1) { buf_add(out, p, (size_t)n); }
	BIO_free(bio);
	return ok == 1 ? 0 : ERR_TLS;
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (ext) { X509_add_ext(cert, ext, -1); }
	X509_EXTENSION_free(ext);
}

static X509 *new_cert(EVP_PKEY *key, const char *common_name, long days)
{
	X509 *cert = X509_new();
	uint64_t serial;
	random_bytes(&serial, sizeof serial);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
		(const unsigned char *)common_name, -1, -1, 0);
	return cert;
}

/* "DNS:a,IP:b" for all names. */
static void put_names(const struct str *names, size_t n, struct buf *out)
{
	struct net_addr a;
	for (size_t i = 0; i < n; i++) {
		const char *kind = net_addr_parse(names[i], 0, &a) == 0 ? "IP" : "DNS";
		buf_fmt(out, "%s%s:%.*s", i ? "," : "", kind, STR_ARG(names[i]));
	}
}

int tls_make_certificate(const struct str *names, size_t n, struct buf *ca_pem,
	struct buf *cert_pem, struct buf *key_pem, struct err *e)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	struct buf san = {0};
	if (!ca_key || !key) {
		EVP_PKEY_free(ca_key);
		EVP_PKEY_free(key);
		return failed(e, "cannot make a key");
	}
	X509 *ca = new_cert(ca_key, TLS_OWN_CA, 3650), *cert = new_cert(key, "posthouse", 825);
	put_names(names, n, &san);
	X509_set_issuer_name(ca, X509_get_subject_name(ca));
	add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign");
	add_extension(ca, ca, NID_subject_key_identifier, "hash");
	X509_set_issuer_name(cert, X509_get_subject_name(ca));
	add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE");
	add_extension(cert, ca, NID_key_usage, "critical,digitalSignature");
	add_extension(cert, ca, NID_ext_key_usage, "serverAuth");
	add_extension(cert, ca, NID_subject_alt_name, buf_cstr(&san));
	add_extension(cert, ca, NID_authority_key_identifier, "keyid:always");
	bool ok = X509_sign(ca, ca_key, EVP_sha256()) && X509_sign(cert, ca_key, EVP_sha256()) &&
		  put_pem(ca_pem, ca, NULL) == 0 && put_pem(cert_pem, cert, NULL) == 0 &&
		  put_pem(key_pem, NULL, key) == 0;
	X509_free(ca);
	X509_free(cert);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	buf_fini(&san);
	return ok ? 0 : failed(e, "cannot make a certificate");
}
