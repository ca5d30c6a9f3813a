// @peculiar/x509, which makes the tests' certificates, needs this polyfill before its first import.
import 'reflect-metadata'
