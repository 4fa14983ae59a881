// SPDX-License-Identifier: Apache-2.0

package grants

import "golang.org/x/sys/unix"

// networkFilesystems are the types of filesystems (statfs(2)) whose files another
// machine can have open too.
var networkFilesystems = map[int64]string{
	0x6969:     "NFS",
	0x517B:     "SMB",
	0xFE534D42: "SMB",
	0xFF534D42: "SMB",
	0x00C36400: "Ceph",
	0x5346414F: "AFS",
	0x6B414653: "AFS",
	0x01021997: "9P",
	0x73757245: "Coda",
	0x564C:     "NCP",
	0x47504653: "GPFS",
	0x0BD00BD0: "Lustre",
	0x65735546: "FUSE", // sshfs, s3fs, folders of a container's host
}

// networkFilesystem returns the name of the network filesystem that a folder is on;
// empty if it is on none.
func networkFilesystem(folder string) (string, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return "", err
	}
	// Its type differs between architectures, and some have it negative.
	return networkFilesystems[int64(s.Type)&0xFFFFFFFF], nil //nolint:unconvert // as above
}
