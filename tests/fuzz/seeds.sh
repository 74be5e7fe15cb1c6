#!/usr/bin/env bash
# Sound little images for the fuzzers to begin with; needs qemu-img.
set -euo pipefail
cd "$(dirname "$0")"

disk=$(mktemp)
trap 'rm -f "$disk"' EXIT
mkdir -p corpus/{raw,vhd,vhdx,vmdk,qcow2,vdi,ova,ovf}
truncate -s 64K "$disk"
printf 'boot' | dd of="$disk" conv=notrunc status=none
printf '\x55\xaa' | dd of="$disk" seek=510 bs=1 conv=notrunc status=none
cp "$disk" corpus/raw/disk

make() { qemu-img convert -q -f raw -O "$1" -o "$2" ${4:-} "$disk" "corpus/$3"; }
make qcow2 cluster_size=512 qcow2/plain
make qcow2 compat=0.10,cluster_size=512 qcow2/old
make qcow2 cluster_size=4k qcow2/deflate -c
make qcow2 cluster_size=4k,compression_type=zstd qcow2/zstd -c
make vmdk subformat=streamOptimized vmdk/stream
make vmdk subformat=monolithicSparse vmdk/sparse
make vpc subformat=fixed vhd/fixed
qemu-img create -q -f vpc -o subformat=dynamic corpus/vhd/dynamic 4M
qemu-img create -q -f vdi corpus/vdi/empty 4M

{
    printf '%s' "<Envelope><File id='f' href='disk1.vmdk'/><Disk diskId='d' fileRef='f' capacity='64' capacityAllocationUnits='byte * 2^10'/><VirtualSystem><Config key='firmware' value='efi'/></VirtualSystem></Envelope>"
    printf '\0MD5(a.ovf)= 00\nMD5(disk1.vmdk)= 00\n\0'
    cat corpus/vmdk/stream
} > corpus/ovf/stream
tar -C corpus --format ustar -cf corpus/ova/seed ovf/stream
