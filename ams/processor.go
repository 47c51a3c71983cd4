package ams

import "strings"

// A Processor is a media processor of v2: what a task is done by.
type Processor struct {
	ID      string // guid: the v2 Id is "nb:mpid:UUID:" + ID
	Name    string
	Version string
}

// The names of the processors that this server knows.
const (
	MediaEncoderStandard = "Media Encoder Standard"
	AzureMediaEncoder    = "Azure Media Encoder"
	WindowsMediaEncoder  = "Windows Azure Media Encoder"
	MediaPackager        = "Windows Azure Media Packager"
	MediaEncryptor       = "Windows Azure Media Encryptor"
	StorageDecryption    = "Storage Decryption"
)

// Processors are those of AMS: ids and names as documented or seen in its
// clients, versions other than of Media Encoder Standard and Azure Media
// Encoder inferred. SDKs take the highest version of a name.
var Processors = []Processor{
	{"ff4df607-d419-42f0-bc17-a481b1331e56", MediaEncoderStandard, "1.1"},
	{"1b1da727-93ae-4e46-a8a1-268828765609", AzureMediaEncoder, "4.4"},
	{"2e7aa8f3-4961-4e0c-b4db-0e0439e524f5", AzureMediaEncoder, "3.7"},
	{"70bdc2c3-ebf4-42a9-8542-5afc1e55d217", WindowsMediaEncoder, "2.3"},
	{"a2f9afe9-7146-4882-a5f7-da4a85e06a93", MediaPackager, "2.8"},
	{"38a620d8-b8dc-4e39-bb2e-7d589587232b", MediaEncryptor, "2.8"},
	{"aec03716-7c5e-4f68-b592-f4850eba9f10", StorageDecryption, "1.7"},
}

// ProcessorByID finds a processor by its guid.
func ProcessorByID(id string) (Processor, bool) {
	for _, p := range Processors {
		if strings.EqualFold(p.ID, id) {
			return p, true
		}
	}
	return Processor{}, false
}
