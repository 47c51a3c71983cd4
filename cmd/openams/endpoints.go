package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// endpoints is DIR/endpoints.json: all that a client needs to find and use a
// running server. The file is there exactly while every listener accepts
// connections. It holds secrets: 0600.
type endpoints struct {
	Management           string   `json:"management"`
	ManagementHTTP       string   `json:"managementHttp"`
	CAFile               string   `json:"caFile"`
	Authority            string   `json:"authority"`
	TenantID             string   `json:"tenantId"`
	ClientID             string   `json:"clientId"`
	ClientSecret         string   `json:"clientSecret"`
	ReaderClientID       string   `json:"readerClientId"`
	ReaderClientSecret   string   `json:"readerClientSecret"`
	SubscriptionID       string   `json:"subscriptionId"`
	ResourceGroup        string   `json:"resourceGroup"`
	AccountName          string   `json:"accountName"`
	Location             string   `json:"location"`
	V2Endpoint           string   `json:"v2Endpoint"`
	ACSEndpoint          string   `json:"acsEndpoint"`
	AccountKey           string   `json:"accountKey"`
	StorageAccountName   string   `json:"storageAccountName"`
	StorageKeys          []string `json:"storageKeys"`
	BlobEndpoint         string   `json:"blobEndpoint"`
	BlobEndpointTLS      string   `json:"blobEndpointTls"`
	StreamingEndpoint    string   `json:"streamingEndpoint"`
	StreamingEndpointTLS string   `json:"streamingEndpointTls"`
	KeyDeliveryEndpoint  string   `json:"keyDeliveryEndpoint"`
}

func endpointsFile(dir string) string { return filepath.Join(dir, "endpoints.json") }

func (e *endpoints) write(dir string) error {
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(endpointsFile(dir), append(data, '\n'))
}

// removeEndpoints withdraws the file of this or of a killed server.
func removeEndpoints(dir string) error {
	if err := os.Remove(endpointsFile(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
