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

# a system on one partition, for the look inside; needs mkfs.ext4
root=$(mktemp -d)
mkdir -p "$root"/{boot,etc/ssh,etc/cloud/cloud.cfg.d,usr/lib/modules/6.1.0-1-amd64,var/log,root/.ssh,home/ann}
printf 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' > "$root/etc/os-release"
printf 'UUID=6d8b2c5e-0000-4000-8000-000000000000 / ext4 defaults 0 1\n' > "$root/etc/fstab"
printf 'root:*:19000:0:99999:7:::\nann:$6$x$y:19000:0:99999:7:::\n' > "$root/etc/shadow"
printf 'root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n' > "$root/etc/passwd"
printf 'datasource_list: [ NoCloud, ConfigDrive ]\n' > "$root/etc/cloud/cloud.cfg.d/90.cfg"
printf 'kernel/drivers/block/virtio_blk.ko:\n' > "$root/usr/lib/modules/6.1.0-1-amd64/modules.dep"
printf 'kernel/drivers/nvme/host/nvme.ko\n' > "$root/usr/lib/modules/6.1.0-1-amd64/modules.builtin"
(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip > boot/initrd.img-6.1.0-1-amd64) || true
printf "kernel" > "$root/boot/vmlinuz-6.1.0-1-amd64"
printf 'ls\n' > "$root/home/ann/.bash_history"
truncate -s 4M "$disk"
mkfs.ext4 -q -F -b 1024 -d "$root" "$disk"
truncate -s 5M guest.raw
printf '\x80\x00\x02\x00\x83\x00\x00\x00\x00\x08\x00\x00\x00\x20\x00\x00' | dd of=guest.raw bs=1 seek=446 conv=notrunc status=none
printf '\x55\xaa' | dd of=guest.raw bs=1 seek=510 conv=notrunc status=none
dd if="$disk" of=guest.raw bs=1M seek=1 conv=notrunc status=none
rm -r "$root"

# an NTFS with two directories called as those of Windows; needs mkntfs (ntfs-3g)
truncate -s 2M "$disk.ntfs"
mkntfs -q -F "$disk.ntfs" >/dev/null 2>&1
python3 - "$disk.ntfs" windows.raw <<'EOF'
import sys
ntfs = open(sys.argv[1], 'rb').read()
for own, theirs in (('$Extend', 'Windows'), ('$Reparse', 'System32')):
    ntfs = ntfs.replace(own.encode('utf-16le'), theirs.encode('utf-16le'))
open(sys.argv[2], 'wb').write(ntfs)
EOF
rm "$disk.ntfs"
