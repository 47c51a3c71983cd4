// Package protect encrypts planned segments and writes what manifests say about
// it. A Protection turns a packager.Format into one with encrypted segments; it
// needs nothing but the index to plan them, and touches the media once, when a
// segment is written.
//
//	AES128  the whole segment by AES-CBC with PKCS#7 padding: HLS, and the
//	        "envelope" of Azure Media Services for DASH and Smooth
//	CENC    AES-CTR over slice data and whole audio samples (ISO/IEC 23001-7)
//	CBCS    AES-CBC, one block in ten of slice data, whole audio samples; in
//	        transport streams the parts that SAMPLE-AES has, see package ts
//	PIFF    CENC as Smooth clients know it: sample information in a uuid box
//
// # Key material
//
// Every segment is a function of the media, the key and the scheme: encrypted
// twice, it has the same bytes. Initialization vectors that are not configured
// are derived by HMAC-SHA256 from the content key:
//
//   - AES128 and CBCS have one of 16 bytes for each key;
//   - CENC and PIFF have one of 8 bytes for each sample: a number derived from
//     the version of the media, the file and the track, plus the number of the
//     sample. Media that differs must have another Version, as two streams under
//     one key and vector reveal each other. Formats share vectors, as they carry
//     the same samples.
//
// # Invariants
//
//   - Length fields of NAL units, parameter sets and slice headers are clear, so
//     that a player can take streams apart without a key; encrypted parts of
//     CENC are multiples of 16 bytes.
//   - Key ids are written in the order of RFC 4122 everywhere but in a PlayReady
//     header, which swaps the first three fields.
//   - Text is never encrypted by CENC, CBCS and PIFF.
//
// The package decides neither what is protected nor who may have a key, and
// issues no licences.
package protect
