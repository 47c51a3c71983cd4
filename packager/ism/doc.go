// Package ism reads and writes server manifests (.ism): the SMIL 2.0 file by
// which an asset says which tracks of which files play together. It takes every
// form that AMS took: those its encoders wrote, those with text streams that its
// tracks API added, and the minimal one of hand-made MP4 sets, which names files
// only. Encode writes the form of the AMS encoder.
//
// It does not look into media files and gives no defaults for what a manifest
// leaves out: package packager does. Client manifests (.ismc) are package
// smooth's.
//
// What is read comes from anyone who may write to a container, so document type
// declarations are refused and size, depth and counts are bounded.
package ism
