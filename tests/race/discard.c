/* A server that speaks as much of S3, and of the EBS direct APIs, as an upload needs and
 * throws every byte away:
 * what remains to be measured is the client. Bodies are discarded in the kernel (plain
 * HTTP) or decrypted into a buffer nobody reads (TLS). It checks no signature, stores
 * nothing, and listens on 127.0.0.1 alone.
 *
 *   cc -O2 -pthread discard.c -o discard            plain HTTP
 *   cc -O2 -pthread -DTLS discard.c -o discard-tls -lssl -lcrypto
 *   ./discard PORT            ./discard-tls PORT CERTIFICATE.pem KEY.pem
 *   GET /-/count   ->   "PARTS BYTES\n" since the start
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
static SSL_CTX *tls;
#endif

enum { HEAD = 64 << 10, BITE = 1 << 20 };

static atomic_llong parts, bytes;

struct peer {
  int fd;
#ifdef TLS
  SSL *ssl;
#endif
  char *head;   /* what was read and not yet used */
  size_t filled;
  char *waste;  /* where discarded bytes go */
};

static ssize_t take(struct peer *p, char *to, size_t most) {
#ifdef TLS
  return SSL_read(p->ssl, to, most > BITE ? BITE : (int)most);
#else
  return recv(p->fd, to, most, 0);
#endif
}

static int give(struct peer *p, const char *from, size_t rest) {
  while (rest) {
#ifdef TLS
    ssize_t n = SSL_write(p->ssl, from, (int)rest);
#else
    ssize_t n = send(p->fd, from, rest, MSG_NOSIGNAL);
#endif
    if (n <= 0) return 0;
    from += n, rest -= (size_t)n;
  }
  return 1;
}

/* The body's bytes: first what came with the head, then what is still on the wire. */
static int discard(struct peer *p, long long length) {
  size_t here = p->filled < (size_t)length ? p->filled : (size_t)length;
  memmove(p->head, p->head + here, p->filled - here);
  p->filled -= here, length -= (long long)here;
  while (length > 0) {
    size_t most = length < BITE ? (size_t)length : BITE;
#ifdef TLS
    ssize_t n = take(p, p->waste, most);
#else
    ssize_t n = recv(p->fd, p->waste, most, MSG_TRUNC);
#endif
    if (n <= 0) return 0;
    length -= n;
  }
  return 1;
}

/* The next line, without its end; what follows stays in the buffer. */
static int line(struct peer *p, char *to, size_t size) {
  char *end;
  while (!(end = memmem(p->head, p->filled, "\r\n", 2))) {
    if (p->filled == HEAD) return 0;
    ssize_t n = take(p, p->head + p->filled, HEAD - p->filled);
    if (n <= 0) return 0;
    p->filled += (size_t)n;
  }
  size_t length = (size_t)(end - p->head), used = length + 2;
  if (length >= size) return 0;
  memcpy(to, p->head, length), to[length] = 0;
  memmove(p->head, p->head + used, p->filled - used);
  p->filled -= used;
  return 1;
}

/* A body in chunks, and its trailers; its bytes, or -1. */
static long long discard_chunks(struct peer *p) {
  char text[1024];
  for (long long all = 0;;) {
    if (!line(p, text, sizeof text)) return -1;
    long long size = strtoll(text, 0, 16);
    if (size <= 0) {
      while (line(p, text, sizeof text)) if (!*text) return all;
      return -1;
    }
    if (!discard(p, size + 2)) return -1;
    all += size;
  }
}

/* The value of a header, or "". */
static const char *header(const char *head, const char *name, char *value, size_t size) {
  size_t len = strlen(name);
  *value = 0;
  for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, name, len) || line[len] != ':') continue;
    const char *from = line + len + 1 + strspn(line + len + 1, " ");
    size_t n = strcspn(from, "\r\n");
    if (n >= size) n = size - 1;
    memcpy(value, from, n), value[n] = 0;
    break;
  }
  return value;
}

static int answer(struct peer *p, const char *status, const char *headers, const char *body) {
  char out[4096];
  int n = snprintf(out, sizeof out,
                   "HTTP/1.1 %s\r\nx-amz-request-id: RACE\r\nx-amz-bucket-region: eu-central-1\r\n"
                   "Content-Type: application/xml\r\n%sContent-Length: %zu\r\n\r\n%s",
                   status, headers, strlen(body), body);
  return give(p, out, (size_t)n);
}

/* The part of the EBS direct APIs that a written snapshot sees. */
static int serve_blocks(struct peer *p, const char *verb, const char *target) {
  if (!strcmp(verb, "PUT")) {
    atomic_fetch_add(&parts, 1);
    return answer(p, "201 Created", "", "{}");
  }
  if (!strncmp(target, "/snapshots/completion/", 22))
    return answer(p, "202 Accepted", "", "{\"Status\":\"pending\"}");
  return answer(p, "201 Created", "",
                "{\"SnapshotId\":\"snap-0123456789abcdef0\",\"Status\":\"pending\","
                "\"BlockSize\":524288}");
}

/* The part of an S3 that an upload sees. `target` is "/bucket/key?query". */
static int serve(struct peer *p, const char *verb, char *target, const char *head) {
  char sum[64], headers[256], body[1024], *query = strchr(target, '?');
  if (query) *query++ = 0;
  char *key = strchr(target + 1, '/');
  int about_object = key && key[1];
  if (!query) query = "";
  if (!strcmp(target, "/-/count")) {
    snprintf(body, sizeof body, "%lld %lld\n", atomic_load(&parts), atomic_load(&bytes));
    return answer(p, "200 OK", "", body);
  }
  if (!strncmp(target, "/snapshots", 10)) return serve_blocks(p, verb, target);
  if (!strcmp(verb, "PUT")) {
    atomic_fetch_add(&parts, 1);
    header(head, "x-amz-checksum-crc64nvme", sum, sizeof sum);
    snprintf(headers, sizeof headers, "ETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\n%s%s%s",
             *sum ? "x-amz-checksum-crc64nvme: " : "", sum, *sum ? "\r\n" : "");
    return answer(p, "200 OK", headers, "");
  }
  if (!strcmp(verb, "POST") && strstr(query, "uploadId="))
    return answer(p, "200 OK", "",
                  "<CompleteMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                  "<Location>there</Location><Bucket>race</Bucket><Key>disk</Key>"
                  "<ETag>\"d41d8cd98f00b204e9800998ecf8427e-9\"</ETag></CompleteMultipartUploadResult>");
  if (!strcmp(verb, "POST"))
    return answer(p, "200 OK", "",
                  "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                  "<Bucket>race</Bucket><Key>disk</Key><UploadId>lane-1</UploadId>"
                  "</InitiateMultipartUploadResult>");
  if (!strcmp(verb, "DELETE")) return answer(p, "204 No Content", "", "");
  if (!strcmp(verb, "HEAD"))
    return answer(p, about_object ? "404 Not Found" : "200 OK", "", "");
  if (!strcmp(verb, "GET") && strstr(query, "location"))
    return answer(p, "200 OK", "",
                  "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                  "eu-central-1</LocationConstraint>");
  if (!strcmp(verb, "GET") && !about_object)
    return answer(p, "200 OK", "",
                  "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                  "<Name>race</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
                  "<IsTruncated>false</IsTruncated></ListBucketResult>");
  return answer(p, "404 Not Found", "", "<Error><Code>NoSuchKey</Code></Error>");
}

static int one_request(struct peer *p) {
  char *end, verb[8], target[4096], value[64], head[HEAD];
  while (!(end = memmem(p->head, p->filled, "\r\n\r\n", 4))) {
    if (p->filled == HEAD) return 0;
    ssize_t n = take(p, p->head + p->filled, HEAD - p->filled);
    if (n <= 0) return 0;
    p->filled += (size_t)n;
  }
  size_t used = (size_t)(end - p->head) + 4;
  memcpy(head, p->head, used - 4), head[used - 4] = 0;
  memmove(p->head, p->head + used, p->filled - used);
  p->filled -= used;
  if (sscanf(head, "%7s %4095s", verb, target) != 2) return 0;
  long long length = atoll(header(head, "content-length", value, sizeof value));
  header(head, "expect", value, sizeof value);
  if (*value && !give(p, "HTTP/1.1 100 Continue\r\n\r\n", 25)) return 0;
  if (*header(head, "transfer-encoding", value, sizeof value)) {
    if ((length = discard_chunks(p)) < 0) return 0;
  } else if (!discard(p, length)) {
    return 0;
  }
  if (!strcmp(verb, "PUT")) atomic_fetch_add(&bytes, length);
  return serve(p, verb, target, head);
}

static void *connection(void *fd) {
  struct peer p = {.fd = (int)(intptr_t)fd, .head = malloc(HEAD), .waste = malloc(BITE)};
  int on = 1;
  setsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int open = p.head && p.waste;
#ifdef TLS
  p.ssl = SSL_new(tls);
  SSL_set_fd(p.ssl, p.fd);
  open = open && SSL_accept(p.ssl) == 1;
#endif
  while (open && one_request(&p)) {}
#ifdef TLS
  SSL_free(p.ssl);
#endif
  free(p.head), free(p.waste), close(p.fd);
  return 0;
}

int main(int count, char **words) {
#ifdef TLS
  const int wanted = 4;
#else
  const int wanted = 2;
#endif
  if (count != wanted) return fprintf(stderr, "see the first lines of discard.c\n"), 2;
  signal(SIGPIPE, SIG_IGN);
#ifdef TLS
  tls = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(tls, words[2]) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls, words[3], SSL_FILETYPE_PEM) != 1)
    return ERR_print_errors_fp(stderr), 1;
#endif
  int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)atoi(words[1])),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(door, (void *)&at, sizeof at) || listen(door, 256)) return perror("discard"), 1;
  pthread_attr_t apart;
  pthread_attr_init(&apart);
  pthread_attr_setdetachstate(&apart, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&apart, 512 << 10);
  for (;;) {
    pthread_t thread;
    int fd = accept(door, 0, 0);
    if (fd >= 0 && pthread_create(&thread, &apart, connection, (void *)(intptr_t)fd)) close(fd);
  }
}
