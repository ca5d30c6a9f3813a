#!/usr/bin/env node
import { servePlugin } from '@tower-of-omens/spire-sdk'
import { plugin } from './plugin.ts'

void servePlugin(plugin)
