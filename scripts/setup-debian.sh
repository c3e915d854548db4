#!/usr/bin/env bash
# What the tests need from Debian: says what is missing and why, installs it (root and apt only), builds the vpcd shim.
# Without root or apt it names the suites that will not run. Never fails `npm test`, and takes no time when all is there.
set -u
cd "$(dirname "$0")/.." || exit 0

# package | what it is for | the suites that do not run without it
needs='
pcscd              | PC/SC daemon: the real way from a program to a card        | pcsc, opensc
vsmartcard-vpcd    | virtual reader for pcscd, where our virtual card dials in  | pcsc, opensc
libpcsclite-dev    | headers to build the PC/SC binding (npm: smartcard)        | pcsc
pcsc-tools         | pcsc_scan, to look at readers by hand                      |
opensc             | independent JPKI software that must accept our card        | opensc
iproute2           | brings up the loopback of a test namespace                 | pcsc, opensc
softhsm2           | PKCS#11 token that holds the keys of a role                | pkcs11
openpace           | independent check of card verifiable certificates          | cvc
postgresql         | database server for the server half of the store tests     | postgresql
chromium           | browser that the screens are tested in                     | screens
fonts-ipafont-gothic | Japanese glyphs in screenshots                           | screens
openssl            | independent check of signatures and certificates           | opensc
gcc                | builds the vpcd shim                                       | pcsc, opensc
libc6-dev          | headers for the shim                                       | pcsc, opensc
python3            | node-gyp, which builds native npm packages                 | pcsc, pkcs11
make               | node-gyp                                                   | pcsc, pkcs11
g++                | node-gyp                                                   | pcsc, pkcs11
'
say() { printf 'setup: %s\n' "$*"; }
trim() { local text=$1; text=${text#"${text%%[! ]*}"}; printf '%s' "${text%"${text##*[! ]}"}"; }

# Fills missing[], reasons[], suites[]; one dpkg-query for all packages.
look() {
  missing=() reasons=() suites=()
  local installed package reason hit
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $(cut -s -d'|' -f1 <<<"$needs") 2>/dev/null)
  while IFS='|' read -r package reason hit; do
    package=${package// /}
    [[ -z $package || $'\n'$installed$'\n' == *$'\n'"installed $package"$'\n'* ]] && continue
    missing+=("$package") reasons+=("$(trim "$reason")")
    for suite in ${hit//,/ }; do [[ " ${suites[*]} " == *" $suite "* ]] || suites+=("$suite"); done
  done <<<"$needs"
}

lament() {
  say "missing: ${missing[*]}"
  [ ${#suites[@]} -eq 0 ] || say "so these suites will not run (or only in part): ${suites[*]}"
  say "to have them: sudo apt-get install --no-install-recommends ${missing[*]}"
}

# postgresql's installation makes and starts a cluster "main". The tests make their own in a temporary directory, so a
# drop-in, there during the installation only, tells it not to (postgresql-common: createcluster.conf, include_dir).
install() {
  local folder=/etc/postgresql-common/createcluster.d log
  if [[ " ${missing[*]} " == *' postgresql '* ]]; then
    trap "rm -f $folder/kazasu-setup.conf; rmdir --ignore-fail-on-non-empty $folder" EXIT
    mkdir -p "$folder" && echo 'create_main_cluster = false' >"$folder/kazasu-setup.conf"
  fi
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  log=$(mktemp)
  "${apt[@]}" update >"$log" 2>&1
  if "${apt[@]}" install --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
    rm -f "$log"
  else
    say 'apt-get did not succeed; its last lines:'
    tail -n 8 "$log" | sed 's/^/setup:   /'
  fi
}

# The shim goes under another name first, so that a build cut short never looks finished.
build_shim() {
  local source=scripts/vpcd-nodelay.c shim=.setup/vpcd-nodelay.so
  [ -e "$shim" ] && [ ! "$source" -nt "$shim" ] && return
  command -v gcc >/dev/null || return
  mkdir -p .setup
  if gcc -shared -fPIC -O2 -Wall -o "$shim.$$" "$source" -ldl; then
    mv "$shim.$$" "$shim" && say "built $shim (virtual readers answer in 0.3 ms instead of 48 ms, on loopback only)"
  else
    rm -f "$shim.$$"
    say "could not build $shim: suites pcsc and opensc will not run"
  fi
}

if ! command -v dpkg-query >/dev/null; then
  say 'this is not a Debian: nothing is installed; suites whose programs are not found will not run'
  build_shim
  exit 0
fi
look
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    say "installing ${#missing[@]} Debian packages that the tests use (a minute or two):"
    for i in "${!missing[@]}"; do printf 'setup:   %-20s %s\n' "${missing[i]}" "${reasons[i]}"; done
    install
    look
    if [ ${#missing[@]} -eq 0 ]; then say 'done'; else lament; fi
  else
    lament
  fi
fi
build_shim
exit 0
