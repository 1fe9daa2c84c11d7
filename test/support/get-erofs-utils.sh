#!/bin/sh
# Brings erofs-utils of Debian 13 and the libraries it needs into .tmp/erofs-utils, for machines whose own
# fsck.erofs is older than 1.6. Nothing is installed; test/support/erofs-fsck.ts runs it from there.
set -eu
cd "$(dirname "$0")/../.."
target=.tmp/erofs-utils
[ -x "$target/usr/bin/fsck.erofs" ] && exit 0
mkdir -p .tmp
mmdebstrap --quiet --variant=extract \
  --include=erofs-utils,libc6,liblz4-1,libzstd1,liblzma5,libdeflate0,libuuid1,libselinux1,libpcre2-8-0,zlib1g,libxxhash0 \
  trixie "$target" http://deb.debian.org/debian
