/*
 * Loaded into pcscd (LD_PRELOAD) to mend two things of Debian's vpcd driver (vsmartcard 3.3), which is the TCP server
 * that a virtual card dials in to:
 *
 * - It sends the length and the payload of each frame in two send() calls. With Nagle's algorithm the second waits for
 *   the delayed acknowledgement of the first: 44 ms per APDU. TCP_NODELAY on the accepted socket takes that away.
 *   (Upstream sends once since commit 0072307.)
 * - It listens on every network interface, and whoever connects is a card. Here it listens on loopback only.
 *
 * Built by setup-debian.sh into .setup/vpcd-nodelay.so.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

int accept(int listener, struct sockaddr *address, socklen_t *length) {
  static int (*real)(int, struct sockaddr *, socklen_t *);
  if (!real) real = dlsym(RTLD_NEXT, "accept");
  int one = 1;
  int accepted = real(listener, address, length);
  /* Fails without harm on the unix sockets of pcscd's own clients. */
  if (accepted >= 0) setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return accepted;
}

int bind(int descriptor, const struct sockaddr *address, socklen_t length) {
  static int (*real)(int, const struct sockaddr *, socklen_t);
  if (!real) real = dlsym(RTLD_NEXT, "bind");
  if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
    struct sockaddr_in loopback;
    memcpy(&loopback, address, sizeof loopback);
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return real(descriptor, (struct sockaddr *)&loopback, sizeof loopback);
  }
  return real(descriptor, address, length);
}
